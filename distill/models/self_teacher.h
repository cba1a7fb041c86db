// FRSKD's self-teacher of a segmentation network: a second head on the student's own feature maps.
#pragma once

#include <torch/nn/module.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/types.h>

#include <vector>

#include "absl/status/status.h"
#include "distill/models/bifpn_seg.h"

namespace reflux {

struct SelfTeacherOptions {
  std::vector<int64_t> channels;  // of the student's maps, finest first
  int64_t num_classes = 0;
  int64_t width = 64;        // channels of the pyramid
  int64_t layers = 2;        // of the pyramid; the last has no down path
  int64_t head_width = 256;  // channels before the classifier
  double norm_epsilon = 1e-5, head_norm_epsilon = 1e-4;  // both as published

  absl::Status Validate() const;  // messages start with the field
  static constexpr int64_t kMaxWidth = 4096, kMaxLayers = 16;
};

struct SelfTeacherOutputs {
  PyramidMaps maps;      // refined maps of `width` channels, each of the size of its input
  torch::Tensor logits;  // [N,num_classes,h_0,w_0]
};

// Maps of another width than the pyramid's pass a 1x1 convolution, batch norm and ReLU
// ("lateral.<i>"); then BifpnSegLayers ("layers.<i>"); the finest map goes through 3x3 convolution,
// batch norm, ReLU and 3x3 convolution ("classifier") to the logits. Not thread-safe.
class SelfTeacherImpl : public torch::nn::Module {
 public:
  explicit SelfTeacherImpl(const SelfTeacherOptions& options);  // valid

  // `maps` [N,channels[i],h_i,w_i], gradients flow into them.
  SelfTeacherOutputs forward(const std::vector<torch::Tensor>& maps);
  // The norms of the refined maps, before their ReLU.
  std::vector<BatchNorm2d> final_norms() const { return layers_.back()->final_norms(); }

 private:
  std::vector<torch::nn::Sequential> lateral_;  // null where the widths agree
  std::vector<BifpnSegLayer> layers_;
  torch::nn::Sequential classifier_{nullptr};
};
TORCH_MODULE(SelfTeacher);

}  // namespace reflux
