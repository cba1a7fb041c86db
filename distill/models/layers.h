// The layers that the networks are composed of, with the children's names of the reference code.
#pragma once

#include <torch/nn/module.h>
#include <torch/nn/modules/conv.h>
#include <torch/types.h>

#include <memory>
#include <string>

#include "distill/models/batch_norm.h"

namespace reflux {

struct NormOptions {
  double epsilon = 1e-5;
  double momentum = 0.1;
};

struct ConvolutionOptions {
  int64_t in = 0, out = 0;
  int64_t kernel = 1, stride = 1, dilation = 1;
  int64_t groups = 1;
  bool pad = true;  // by zeros, so that at stride 1 the map keeps its size
};

// Without bias: a norm follows.
torch::nn::Conv2d Convolution(const ConvolutionOptions& options);
BatchNorm2d Norm(int64_t channels, const NormOptions& options);

enum class Activation { kNone, kRelu, kRelu6, kHardswish };
// May work in place: a batch norm's backward reads its input only.
torch::Tensor Activate(torch::Tensor map, Activation activation);

// A part of a network that maps [N,C,h,w] to [N,C',h',w'].
class Layer : public torch::nn::Module {
 public:
  virtual torch::Tensor forward(const torch::Tensor& input) = 0;
};

// Convolution "0", norm "1", then an activation without parameters.
class ConvolutionNorm : public Layer {
 public:
  ConvolutionNorm(const ConvolutionOptions& convolution, const NormOptions& norm,
                  Activation activation);
  torch::Tensor forward(const torch::Tensor& input) override;
  torch::nn::Conv2d convolution() const { return convolution_; }
  BatchNorm2d norm() const { return norm_; }

 private:
  torch::nn::Conv2d convolution_;
  BatchNorm2d norm_;
  Activation activation_;
};

// A block that may add a branch to its shortcut.
class ResidualBlock : public Layer {
 public:
  // The norm that ends the branch: with a weight of zero the block is its shortcut. Empty for a
  // block without a shortcut.
  virtual BatchNorm2d branch_norm() const = 0;
};

// A module whose only child is `name`, for the reference's parameter names ("b1.block.0.weight").
std::shared_ptr<torch::nn::Module> Nested(const std::string& name,
                                          const std::shared_ptr<torch::nn::Module>& child);

// `map` bilinearly at the size of `reference`, corners aligned.
torch::Tensor UpsampleAs(const torch::Tensor& map, const torch::Tensor& reference);

}  // namespace reflux
