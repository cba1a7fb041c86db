// Classifiers of images whose stages give feature maps: the backbones of FRSKD's classification
// (CVPR 2021; MingiJi/FRSKD, models/resnet.py and wrn.py). Parameters carry the published names.
#pragma once

#include <torch/types.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "distill/models/segmentation_model.h"

namespace reflux {

struct ClassifierOutputs {
  std::vector<torch::Tensor> maps;         // [N,channels()[i],h_i,w_i] after ReLU, finest first
  std::vector<torch::Tensor> before_relu;  // the same maps before it
  torch::Tensor logits;                    // [N,num_classes]
};

struct ClassifierOptions {
  std::string architecture;  // cifar_resnet18, resnet18, wrn16x2
  int64_t num_classes = 100;
  double norm_epsilon = 1e-5, norm_momentum = 0.1;
};

// Taps: c1, c2, ... the maps after their ReLU; c1_pre, c2_pre, ... before it; "logits"
// [N,num_classes,1,1].
class ImageClassifier : public SegmentationModel {
 public:
  explicit ImageClassifier(const ClassifierOptions& options) : options_(options) {}

  // `images` [N,3,H,W], preprocessed.
  virtual ClassifierOutputs Classify(const torch::Tensor& images) = 0;
  virtual std::vector<int64_t> channels() const = 0;  // of the maps
  virtual int64_t first_stride() const { return 1; }  // of the finest; each other's is twice that

  TapOutputs Forward(const torch::Tensor& images, const std::vector<std::string>& wanted) override;
  std::vector<TapInfo> taps() const override;
  int64_t num_classes() const override { return options_.num_classes; }
  std::string architecture() const override { return options_.architecture; }
  std::string configuration() const override;

 private:
  const ClassifierOptions options_;
};

// "c<stage>", counted from 0, and the same map before its ReLU.
std::string StageTap(size_t stage, bool before_relu = false);

// InvalidArgument for a bad number, NotFound (which lists those that are known) for an
// architecture.
absl::StatusOr<std::shared_ptr<ImageClassifier>> BuildImageClassifier(
    const ClassifierOptions& options);

}  // namespace reflux
