// The seam between a backbone's stages and what a network says about an image. Not thread-safe in
// training mode.
#pragma once

#include <torch/nn/module.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/conv.h>
#include <torch/types.h>

#include <string>
#include <vector>

#include "distill/models/backbone.h"
#include "distill/models/counter_dropout.h"
#include "distill/models/model_options.h"
#include "distill/models/segmentation_model.h"

namespace reflux {

class Head {
 public:
  virtual ~Head() = default;
  // Makes its modules children of `network`, under the reference's names.
  virtual void Register(torch::nn::Module& network) = 0;
  // "logits" and every map of taps().
  virtual TapOutputs Forward(const StageMaps& stages) = 0;
  // Ends with "logits".
  virtual std::vector<TapInfo> taps() const = 0;
};

// Taps "aspp", a map of `aspp_width` before the classifier, and "logits", both at `stride`.
std::vector<TapInfo> FeatureTaps(const ModelOptions& options, int64_t stride);

NormOptions HeadNorm(const ModelOptions& options);

// 3x3 convolution, norm, ReLU, dropout, 1x1 classifier: children "0", "1" and "4" of a sequence.
class ClassifierBlock {
 public:
  ClassifierBlock(int64_t in_channels, int64_t hidden_channels, const ModelOptions& options);
  torch::Tensor Features(const torch::Tensor& input);  // before the classifier
  torch::Tensor Classify(const torch::Tensor& features) { return classifier_(features); }
  std::shared_ptr<torch::nn::Module> sequence() const { return sequence_.ptr(); }

 private:
  torch::nn::Conv2d convolution_, classifier_;
  BatchNorm2d norm_;
  CounterDropout dropout_;
  torch::nn::Sequential sequence_;
};

// Atrous spatial pyramid pooling (Chen et al., arXiv 1706.05587): a 1x1, three dilated 3x3 and an
// image-pooling branch, concatenated, projected to `width`, norm, ReLU, dropout. The heads register
// its parts under the names of their code base.
class Aspp {
 public:
  // `stride` is that of the input: dilations 12, 24 and 36 at 8, half of that at 16.
  Aspp(int64_t in_channels, int64_t stride, const ModelOptions& options);
  torch::Tensor Forward(const torch::Tensor& input);

  // 1x1, then the dilated ones.
  std::vector<std::shared_ptr<ConvolutionNorm>> branches;
  torch::nn::Sequential pooling;  // pool, convolution "1", norm "2"
  torch::nn::Conv2d projection;
  BatchNorm2d norm;
  CounterDropout dropout;
};

}  // namespace reflux
