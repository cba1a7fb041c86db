// FRSKD's wide ResNet (Zagoruyko and Komodakis 2016) for CIFAR: blocks without their first norm,
// and a norm after each of the three stages, whose maps are taken behind it.
#pragma once

#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>

#include "distill/models/batch_norm.h"
#include "distill/models/image_classifier.h"

namespace reflux {

class WideResNet : public ImageClassifier {
 public:
  // `depth` is 6 n + 4: n blocks of two convolutions in each stage.
  WideResNet(const ClassifierOptions& options, int64_t depth, int64_t widening);
  ClassifierOutputs Classify(const torch::Tensor& images) override;
  std::vector<int64_t> channels() const override { return channels_; }

 private:
  const std::vector<int64_t> channels_;
  torch::nn::Conv2d conv1_{nullptr};
  std::vector<torch::nn::Sequential> stages_;
  std::vector<BatchNorm2d> norms_;  // after each stage
  torch::nn::Linear fc_{nullptr};
};

}  // namespace reflux
