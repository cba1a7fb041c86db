// FRSKD's ResNet-18: each block starts with the ReLU that He et al. (2016) put at its end, so that
// the maps before it can be had.
#pragma once

#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>

#include "distill/models/batch_norm.h"
#include "distill/models/image_classifier.h"

namespace reflux {

class CifarResNet18 : public ImageClassifier {
 public:
  enum class Stem {
    kCifar,     // 3x3 convolution, norm
    kImageNet,  // 7x7 convolution of stride 2, norm, 3x3 max-pool of stride 2
  };
  CifarResNet18(const ClassifierOptions& options, Stem stem);
  ClassifierOutputs Classify(const torch::Tensor& images) override;
  std::vector<int64_t> channels() const override { return {64, 128, 256, 512}; }
  int64_t first_stride() const override { return stem_ == Stem::kCifar ? 1 : 4; }

 private:
  const Stem stem_;
  torch::nn::Conv2d conv1_{nullptr};
  BatchNorm2d bn1_{nullptr};
  std::vector<torch::nn::Sequential> stages_;
  torch::nn::Linear fc_{nullptr};
};

}  // namespace reflux
