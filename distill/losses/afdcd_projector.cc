#include "distill/losses/afdcd_projector.h"

#include <torch/nn/modules/conv.h>

#include <algorithm>

#include "common/base/choose.h"

namespace reflux {
namespace {

using torch::Tensor;
using torch::nn::Conv2d;

Conv2d Conv(int64_t in, int64_t out, int64_t size) {
  return Conv2d(torch::nn::Conv2dOptions(in, out, size).padding(size / 2));
}

class PlainProjector : public AfdcdProjector {
 public:
  explicit PlainProjector(int64_t channels)
      : first_(register_module("0", Conv(channels, channels, 3))),
        second_(register_module("2", Conv(channels, channels, 3))) {}
  Tensor forward(const Tensor& map) override {
    return second_->forward(torch::relu(first_->forward(map)));
  }

 private:
  Conv2d first_, second_;
};

class TwoLevelProjector : public AfdcdProjector {
 public:
  explicit TwoLevelProjector(int64_t channels)
      : block_1_(register_module("block_1", torch::nn::Sequential(Conv(channels, channels, 3)))),
        block_2_(register_module("block_2", torch::nn::Sequential(Conv(channels, channels, 3)))),
        adaptor_1_(register_module("adpator_1", Conv(channels, channels, 3))),
        adaptor_2_(register_module("adpator_2", Conv(channels, channels, 3))) {}
  Tensor forward(const Tensor& map) override {
    const Tensor x1 = torch::relu(block_1_->forward(map));
    const Tensor x2 = torch::relu(block_2_->forward(x1));
    return (adaptor_1_->forward(x1) + adaptor_2_->forward(x2)) / 2;
  }

 private:
  torch::nn::Sequential block_1_, block_2_;
  Conv2d adaptor_1_, adaptor_2_;
};

class BottleneckProjector : public AfdcdProjector {
 public:
  explicit BottleneckProjector(int64_t channels)
      : reduce_(register_module("reduce", Conv(channels, Width(channels), 1))),
        mix_(register_module("mix", Conv(Width(channels), Width(channels), 3))),
        expand_(register_module("expand", Conv(Width(channels), channels, 1))) {}
  Tensor forward(const Tensor& map) override {
    return expand_->forward(torch::relu(mix_->forward(torch::relu(reduce_->forward(map)))));
  }

 private:
  static int64_t Width(int64_t channels) { return std::max<int64_t>(channels / 4, 1); }
  Conv2d reduce_, mix_, expand_;
};

}  // namespace

std::shared_ptr<AfdcdProjector> MakeAfdcdProjector(AfdcdProjectorKind kind, int64_t channels) {
  switch (kind) {
    case AfdcdProjectorKind::kTwoLevel:
      return std::make_shared<TwoLevelProjector>(channels);
    case AfdcdProjectorKind::kBottleneck:
      return std::make_shared<BottleneckProjector>(channels);
    case AfdcdProjectorKind::kPlain:
      break;
  }
  return std::make_shared<PlainProjector>(channels);
}

absl::StatusOr<AfdcdProjectorKind> ParseAfdcdProjector(absl::string_view name) {
  return Choose<AfdcdProjectorKind>("losses.afdcd.projector", name,
                                    {{"plain", AfdcdProjectorKind::kPlain},
                                     {"two_level", AfdcdProjectorKind::kTwoLevel},
                                     {"bottleneck", AfdcdProjectorKind::kBottleneck}});
}

}  // namespace reflux
