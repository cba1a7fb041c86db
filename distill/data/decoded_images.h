// Decoded samples kept in memory: several views of an image cost one decode. Torch-free,
// thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/mutex.h"
#include "distill/data/dataset.h"

namespace reflux {

class DecodedImages {
 public:
  // Keeps pixels of images and labels up to `max_bytes`. When these are full nothing is replaced:
  // under epoch shuffles that hits more often than replacing the oldest. Images are decoded at
  // 1/shrink (View::decode_shrink). `dataset` must outlive this.
  DecodedImages(const Dataset& dataset, int64_t max_bytes, int shrink = 1);

  // Sample `index` (its bytes as encoded are left out), decoded at the first call and, if there was
  // room, only then. Errors: those of ReadLabelledImage. An image that changes on disk once it is
  // kept is not noticed: what is kept has the digest that was expected.
  absl::StatusOr<std::shared_ptr<const LabelledImage>> Get(size_t index, const Digest& expected);

  int64_t bytes() const;
  int64_t decoded() const;  // calls that decoded

 private:
  const Dataset& dataset_;
  const int64_t max_bytes_;
  const int shrink_;
  mutable Mutex mutex_;
  std::vector<std::shared_ptr<const LabelledImage>> kept_ REFLUX_GUARDED_BY(mutex_);
  int64_t bytes_ REFLUX_GUARDED_BY(mutex_) = 0, decoded_ REFLUX_GUARDED_BY(mutex_) = 0;
};

}  // namespace reflux
