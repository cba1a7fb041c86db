#include "distill/models/counter_dropout.h"

#include <ATen/Parallel.h>

#include "absl/strings/str_cat.h"
#include "common/base/counter_random.h"

namespace reflux {
namespace {

constexpr int64_t kGrain = 1 << 14;  // Philox blocks a task

}  // namespace

CounterDropoutImpl::CounterDropoutImpl(double p) : p_(p) {
  TORCH_CHECK(p >= 0 && p < 1, "dropout rate must be in [0, 1), got ", p);
}

void CounterDropoutImpl::set_context(const std::string& layer, const DropoutContext& context) {
  if (!context_ || context_->seed != context.seed) {
    key_ = CounterRandom(context.seed, absl::StrCat("dropout:", layer)).key();
  }
  context_ = context;
}

// One Philox block decides four consecutive elements. Counter: the step above, position and block
// below, so no two images or steps share a block.
torch::Tensor CounterDropoutImpl::Mask(torch::IntArrayRef shape) const {
  torch::Tensor mask = torch::empty(shape, torch::kUInt8);
  if (mask.numel() == 0) return mask;
  const int64_t elements = mask.numel() / shape[0];
  const int64_t blocks = (elements + 3) / 4;
  TORCH_CHECK(blocks <= UINT32_MAX, "dropout over ", elements, " values an image");
  const auto threshold = static_cast<uint32_t>(p_ * 0x1p32);
  uint8_t* const begin = mask.data_ptr<uint8_t>();
  at::parallel_for(0, shape[0] * blocks, kGrain, [&](int64_t from, int64_t to) {
    for (int64_t i = from; i < to; ++i) {
      const int64_t image = i / blocks, block = i % blocks;
      const uint64_t position = context_->first_position + image;
      const auto random = Philox4x32(key_, position << 32 | block, context_->step);
      uint8_t* const out = begin + image * elements + 4 * block;
      const int64_t count = std::min<int64_t>(4, elements - 4 * block);
      for (int64_t j = 0; j < count; ++j) out[j] = random[j] >= threshold;
    }
  });
  return mask;
}

torch::Tensor CounterDropoutImpl::forward(const torch::Tensor& input) {
  if (!is_training() || p_ == 0) return input;
  TORCH_CHECK(context_, "dropout in training mode has no context: call SetDropoutContext first");
  const torch::Tensor mask = Mask(input.sizes()).to(input.device()).to(input.scalar_type());
  return input * mask * (1 / (1 - p_));
}

void SetDropoutContext(torch::nn::Module& model, const DropoutContext& context) {
  for (const auto& item : model.named_modules("", /*include_self=*/false)) {
    if (auto* dropout = item.value()->as<CounterDropoutImpl>()) {
      dropout->set_context(item.key(), context);
    }
  }
}

}  // namespace reflux
