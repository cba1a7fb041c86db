#include "distill/data/decoded_images.h"

#include "common/base/status_macros.h"

namespace reflux {
namespace {

int64_t BytesOf(const cv::Mat& image) {
  return static_cast<int64_t>(image.total() * image.elemSize());
}

}  // namespace

DecodedImages::DecodedImages(const Dataset& dataset, int64_t max_bytes, int shrink)
    : dataset_(dataset), max_bytes_(max_bytes), shrink_(shrink), kept_(dataset.samples().size()) {}

absl::StatusOr<std::shared_ptr<const LabelledImage>> DecodedImages::Get(size_t index,
                                                                        const Digest& expected) {
  {
    MutexLock lock(mutex_);
    if (kept_[index] != nullptr) return kept_[index];
  }
  REFLUX_ASSIGN_OR_RETURN(LabelledImage read,
                          ReadLabelledImage(dataset_, index, &expected, shrink_));
  read.bytes = std::string();
  const int64_t size = BytesOf(read.image) + BytesOf(read.label);
  auto sample = std::make_shared<const LabelledImage>(std::move(read));
  MutexLock lock(mutex_);
  ++decoded_;
  // Another thread may have been faster.
  if (kept_[index] == nullptr && bytes_ + size <= max_bytes_) {
    kept_[index] = sample;
    bytes_ += size;
  }
  return sample;
}

int64_t DecodedImages::bytes() const {
  MutexLock lock(mutex_);
  return bytes_;
}

int64_t DecodedImages::decoded() const {
  MutexLock lock(mutex_);
  return decoded_;
}

}  // namespace reflux
