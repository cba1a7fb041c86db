// What of a request is still to be delivered. Thread-compatible.
#pragma once

#include <set>
#include <utility>
#include <vector>

#include "common/targets/target.h"

namespace reflux {

class MissingTargets {
 public:
  // All of it.
  explicit MissingTargets(const TargetRequest& request);

  bool empty() const { return missing_.empty(); }
  size_t size() const { return missing_.size(); }
  bool Has(size_t sample, size_t spec) const { return missing_.contains({sample, spec}); }
  // True if it was missing; then it no longer is.
  bool Take(size_t sample, size_t spec) { return missing_.erase({sample, spec}) > 0; }

  // The samples that miss any spec, with every spec: what comes twice is to be dropped.
  struct Rest {
    TargetRequest request;
    std::vector<size_t> samples;  // index in `request` -> index in the whole one
  };
  Rest Of(const TargetRequest& request) const;

  // Delivers `status` for what is missing; nothing is missing then.
  void Fail(const absl::Status& status, TargetSink& sink);

 private:
  std::set<std::pair<size_t, size_t>> missing_;
};

// Whether the same request may succeed later, or at another server: UNAVAILABLE,
// RESOURCE_EXHAUSTED, DATA_LOSS, ABORTED.
bool IsRetryable(const absl::Status& status);

}  // namespace reflux
