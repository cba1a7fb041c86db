// The self-teachers of FRSKD's classifiers (CVPR 2021; MingiJi/FRSKD, models/bifpn.py, bifpnc.py):
// weighted bidirectional feature pyramids (EfficientDet) on a network's maps, with a classifier on
// the coarsest.
#pragma once

#include <torch/nn/module.h>
#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/modules/linear.h>
#include <torch/types.h>

#include <vector>

#include "absl/status/status.h"
#include "distill/models/batch_norm.h"

namespace reflux {

struct BifpnOptions {
  std::vector<int64_t> channels;  // of the maps, finest first; at least two
  int64_t num_classes = 0;
  // BiFPN has `num_channels` channels at every level, BiFPNc `width` times those of the level's
  // map. Exactly one of the two is given.
  int64_t num_channels = 0, width = 0;
  int64_t repeat = 1;                    // layers
  int64_t up_depth = 2, down_depth = 2;  // convolutions of a block of the two paths
  double norm_epsilon = 1e-5, norm_momentum = 0.1;
  double fusion_epsilon = 1e-6;  // added to the sum of the fusion weights

  absl::Status Validate() const;
  std::vector<int64_t> widths() const;  // of the refined maps
};

struct BifpnOutputs {
  std::vector<torch::Tensor> maps;  // refined, each of the size of its input
  torch::Tensor logits;             // [N,num_classes]
};

// Every map passes a ReLU first. A fused map is the sum of its inputs, weighted by relu(w) /
// (sum relu(w) + epsilon). The up path resizes by nearest neighbour, the down path by a 3x3
// max-pool of stride 2 with zeros around (`same`); BiFPNc follows each by a 1x1 block. Parameters
// carry the published names. Each map must be half as large, rounded up, as the finer one. Not
// thread-safe.
class BifpnImpl : public torch::nn::Module {
 public:
  explicit BifpnImpl(const BifpnOptions& options);  // valid
  // `maps` [N,channels[i],h_i,w_i]. With `before_relu` the refined maps are those before their
  // ReLU.
  BifpnOutputs forward(const std::vector<torch::Tensor>& maps, bool before_relu = false);
  // The norms of the refined maps, before their ReLU.
  std::vector<BatchNorm2d> final_norms() const;

 private:
  torch::nn::ModuleList layers_{nullptr};
  torch::nn::Linear classifier_{nullptr};
};
TORCH_MODULE(Bifpn);

}  // namespace reflux
