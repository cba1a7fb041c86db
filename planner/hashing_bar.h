// Progress of hashing a data set, on standard error: it may read all of it the first time.
#pragma once

#include <memory>

#include "common/base/progress_bar.h"
#include "distill/data/manifest.h"

namespace reflux {

class HashingBar {
 public:
  // For one data set; the bar must outlive the hashing. `stop` may be null.
  HashWatch Watch(const Cancellation* stop);
  // Ends the line. Nothing may follow.
  void Finish() { bar_.reset(); }

 private:
  std::unique_ptr<LateBar> bar_;
  int64_t done_ = 0;
};

}  // namespace reflux
