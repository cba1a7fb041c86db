// The student of FRSKD's segmentation (CVPR 2021; MingiJi/FRSKD,
// segmentation/utils/efficientdet.py): an EfficientDet-like pyramid with three BiFPN layers and a
// classifier on its finest level. The self-teacher on top of it is the loss's
// (distill/losses/frskd_loss.h).
#pragma once

#include <torch/nn/modules/conv.h>

#include <memory>
#include <vector>

#include "distill/models/bifpn_seg.h"
#include "distill/models/head.h"

namespace reflux {

// Six levels of 64 channels, strides 4 to 128: taps p2..p7, as the last BiFPN layer leaves them.
// Tap "aspp" is the last map before the classifier (aspp_width channels), at stride 4 as the
// logits. Children under the published names: conv6, conv7, toplayer, latlayer1..3, BiFPN1,
// classifier1. Norms have the published epsilon, but the network's momentum: the published 0.997
// would leave the statistics of the last batch.
class EfficientDetHead : public Head {
 public:
  EfficientDetHead(const std::array<StageShape, 4>& stages, const ModelOptions& options);
  void Register(torch::nn::Module& network) override;
  TapOutputs Forward(const StageMaps& stages) override;
  std::vector<TapInfo> taps() const override;

 private:
  std::vector<torch::Tensor> Levels(const StageMaps& stages);

  const ModelOptions options_;
  torch::nn::Sequential conv6_, conv7_, top_;
  std::vector<torch::nn::Sequential> lateral_;  // of c3, c2, c1
  std::vector<BifpnSegLayer> layers_;
  torch::nn::Sequential classifier_;  // without its last convolution
  torch::nn::Conv2d last_;
};

}  // namespace reflux
