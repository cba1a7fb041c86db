// DeepLabV3 on a dilated ResNet (Chen et al., arXiv 1706.05587) with an auxiliary FCN head on c3,
// as in the CIRKD and Af-DCD code bases: their parameter names, their outputs.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "distill/models/counter_dropout.h"
#include "distill/models/model_options.h"
#include "distill/models/resnet.h"
#include "distill/models/segmentation_model.h"

namespace reflux {

// Atrous spatial pyramid pooling: a 1x1, three dilated 3x3 and an image-pooling branch, projected
// to the width of one of them.
class AsppImpl : public torch::nn::Module {
 public:
  AsppImpl(int64_t in_channels, const ModelOptions& options);
  torch::Tensor forward(const torch::Tensor& input);

 private:
  torch::nn::Sequential b0_{nullptr}, pooling_{nullptr}, project_{nullptr};
  std::vector<torch::nn::Sequential> dilated_;
};
TORCH_MODULE(Aspp);

// 3x3 convolution, norm, ReLU, dropout, 1x1 classifier.
class ClassifierBlockImpl : public torch::nn::Module {
 public:
  ClassifierBlockImpl(int64_t in_channels, int64_t hidden_channels, const ModelOptions& options);
  torch::Tensor Features(const torch::Tensor& input);  // before the classifier
  torch::Tensor Classify(const torch::Tensor& features) { return classifier_(features); }

 private:
  torch::nn::Conv2d conv_{nullptr}, classifier_{nullptr};
  BatchNorm2d norm_{nullptr};
  CounterDropout dropout_{nullptr};
};
TORCH_MODULE(ClassifierBlock);

// Taps: c1..c4 (stages of the backbone), aspp (the head's last map before the classifier), logits,
// and aux when the network has the auxiliary head.
class DeepLabV3 : public SegmentationModel {
 public:
  // `options` are valid and name a deeplabv3 architecture (BuildModel sees to it).
  DeepLabV3(const ModelOptions& options, const ResNetOptions& backbone);

  TapOutputs Forward(const torch::Tensor& images, const std::vector<std::string>& wanted) override;
  std::vector<TapInfo> taps() const override;
  int64_t num_classes() const override { return options_.num_classes; }
  std::string architecture() const override { return options_.architecture; }
  std::string configuration() const override;

 private:
  void CheckTaps(const std::vector<std::string>& wanted) const;

  ModelOptions options_;
  ResNet backbone_{nullptr};
  Aspp aspp_{nullptr};
  ClassifierBlock head_{nullptr}, auxiliary_{nullptr};
};

}  // namespace reflux
