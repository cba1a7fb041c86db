#include "distill/losses/feature_queue.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/counter_random.h"

namespace reflux {

FeatureQueueImpl::FeatureQueueImpl(int64_t num_classes, int64_t size, int64_t channels)
    : size_(size) {
  vectors_ = register_buffer("vectors", torch::zeros({num_classes, size, channels}));
  written_ = register_buffer("written", torch::zeros({num_classes}, torch::kInt64));
}

void FeatureQueueImpl::Push(int64_t label, const torch::Tensor& vectors) {
  const torch::NoGradGuard no_grad;
  const int64_t written = written_[label].item<int64_t>();
  const torch::Tensor place = torch::arange(written, written + vectors.size(0)).remainder(size_);
  vectors_[label].index_copy_(0, place.to(vectors_.device()), vectors.to(vectors_.options()));
  written_[label] += vectors.size(0);
}

torch::Tensor FeatureQueueImpl::Sample(int64_t per_class, uint64_t seed, uint64_t step) const {
  const torch::Tensor written = written_.cpu();
  std::vector<torch::Tensor> parts = {vectors_.new_empty({0, vectors_.size(2)})};
  for (int64_t label = 0; label < written.size(0); ++label) {
    const int64_t held = std::min(written[label].item<int64_t>(), size_);
    std::vector<int64_t> chosen =
        CounterRandom(seed, absl::StrCat("feature_queue:", label)).Permutation(held, step);
    chosen.resize(std::min<size_t>(chosen.size(), static_cast<size_t>(per_class)));
    if (chosen.empty()) continue;
    parts.push_back(vectors_[label].index_select(
        0, torch::tensor(chosen, torch::kInt64).to(vectors_.device())));
  }
  return torch::cat(parts);
}

}  // namespace reflux
