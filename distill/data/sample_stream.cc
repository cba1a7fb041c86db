#include "distill/data/sample_stream.h"

#include "absl/strings/str_cat.h"

namespace reflux {

absl::Status SampleStreamOptions::Validate() const {
  if (samples >= 1 && global_batch >= 1 && replay >= 0) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("a sample stream needs samples (", samples,
                                                 "), a global batch of 1 or more (", global_batch,
                                                 ") and replay of 0 or more (", replay, ")"));
}

SampleStream::SampleStream(const SampleStreamOptions& options)
    : options_(options), order_(options.seed, "order"), view_(options.seed, "view number") {}

int64_t ShareBegin(int64_t total, int64_t rank, int64_t world_size) {
  return total * rank / world_size;
}

std::vector<Draw> SampleStream::Draws(int64_t step, int64_t rank, int64_t world_size) const {
  const int64_t batch = options_.global_batch;
  std::vector<Draw> draws;
  Order order;
  int64_t ordered_epoch = -1;
  for (int64_t i = ShareBegin(batch, rank, world_size); i < ShareBegin(batch, rank + 1, world_size);
       ++i) {
    const int64_t position = step * batch + i;
    const int64_t epoch = position / options_.samples;
    if (epoch != ordered_epoch) order = OrderOf(epoch);
    ordered_epoch = epoch;
    Draw draw = At(position, *order);
    draw.position = i;
    draws.push_back(draw);
  }
  return draws;
}

SampleStream::Order SampleStream::OrderOf(int64_t epoch) const {
  constexpr size_t kKept = 4;
  MutexLock lock(mutex_);
  for (const auto& [known, order] : orders_) {
    if (known == epoch) return order;
  }
  auto order = std::make_shared<const std::vector<int64_t>>(
      order_.Permutation(options_.samples, static_cast<uint64_t>(epoch)));
  if (orders_.size() == kKept) orders_.pop_front();
  orders_.emplace_back(epoch, order);
  return order;
}

Draw SampleStream::At(int64_t position, const std::vector<int64_t>& order) const {
  const int64_t epoch = position / options_.samples;
  Draw draw{.sample = order[position % options_.samples]};
  // Each sample begins at a random view and takes them in turn: K epochs fill a cache of K views.
  draw.view = options_.replay > 0
                  ? (view_.Below(options_.replay, draw.sample) + epoch) % options_.replay
                  : position;
  return draw;
}

}  // namespace reflux
