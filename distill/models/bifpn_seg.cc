#include "distill/models/bifpn_seg.h"

#include <torch/nn/modules/conv.h>

#include <string>

#include "distill/tensors/resize.h"

namespace reflux {
namespace {

using torch::Tensor;

torch::nn::Sequential Block(int64_t channels, double norm_epsilon) {
  return torch::nn::Sequential(
      torch::nn::Conv2d(torch::nn::Conv2dOptions(channels, channels, 1).groups(channels)),
      BatchNorm2d(channels, norm_epsilon));
}

// The published names count from P2, the finest.
std::string LevelName(int64_t level, const char* path) {
  return "conv" + std::to_string(level + 2) + path;
}

}  // namespace

BifpnSegLayerImpl::BifpnSegLayerImpl(int64_t channels, int64_t levels, bool last,
                                     double norm_epsilon) {
  for (int64_t i = 0; i < levels; ++i) {
    up_.push_back(register_module(LevelName(i, "up"), Block(channels, norm_epsilon)));
    if (i > 0 && !last) {
      down_.push_back(register_module(LevelName(i, "dw"), Block(channels, norm_epsilon)));
    }
  }
}

PyramidMaps BifpnSegLayerImpl::Up(const std::vector<Tensor>& maps) {
  PyramidMaps up{std::vector<Tensor>(maps.size()), std::vector<Tensor>(maps.size())};
  for (size_t i = maps.size(); i-- > 0;) {
    Tensor sum = maps[i];
    if (i + 1 < maps.size())
      sum = sum + ResizeBilinear(up.maps[i + 1], maps[i].size(2), maps[i].size(3),
                                 /*align_corners=*/false);
    up.before_relu[i] = up_[i]->forward(sum);
    up.maps[i] = torch::relu(up.before_relu[i]);
  }
  return up;
}

PyramidMaps BifpnSegLayerImpl::forward(const std::vector<Tensor>& maps) {
  TORCH_CHECK_VALUE(maps.size() == up_.size(), "a feature pyramid of ", up_.size(),
                    " levels was given ", maps.size(), " maps");
  const PyramidMaps up = Up(maps);
  PyramidMaps out = up;
  for (size_t i = 1; i <= down_.size(); ++i) {
    const Tensor sum =
        maps[i] + up.maps[i] + ResizeNearest(out.maps[i - 1], maps[i].size(2), maps[i].size(3));
    out.before_relu[i] = down_[i - 1]->forward(sum);
    out.maps[i] = torch::relu(out.before_relu[i]);
  }
  return out;
}

std::vector<BatchNorm2d> BifpnSegLayerImpl::final_norms() const {
  std::vector<BatchNorm2d> norms;
  for (size_t i = 0; i < up_.size(); ++i) {
    const torch::nn::Sequential& block = i > 0 && !down_.empty() ? down_[i - 1] : up_[i];
    norms.emplace_back(std::dynamic_pointer_cast<BatchNorm2dImpl>(block->ptr(1)));
  }
  return norms;
}

}  // namespace reflux
