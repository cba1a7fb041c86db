// Classifiers of images whose stages give feature maps: the backbones of FRSKD's classification
// (CVPR 2021; MingiJi/FRSKD, models/resnet.py and wrn.py). Parameters carry the published names.
#pragma once

#include <torch/torch.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace reflux {

struct ClassifierOutputs {
  std::vector<torch::Tensor> maps;  // [N,channels()[i],h_i,w_i] after ReLU, finest first
  torch::Tensor logits;             // [N,num_classes]
};

// Not thread-safe in training mode.
class ImageClassifier : public torch::nn::Module {
 public:
  // `images` [N,3,H,W], preprocessed.
  virtual ClassifierOutputs Forward(const torch::Tensor& images) = 0;
  virtual std::vector<int64_t> channels() const = 0;  // of the maps
};

struct ClassifierOptions {
  std::string architecture;  // cifarresnet18, resnet18, wrn16x2
  int64_t num_classes = 100;
  double norm_epsilon = 1e-5, norm_momentum = 0.1;
};

// InvalidArgument for a bad number, NotFound (which lists those that are known) for an
// architecture.
absl::StatusOr<std::shared_ptr<ImageClassifier>> BuildImageClassifier(
    const ClassifierOptions& options);

}  // namespace reflux
