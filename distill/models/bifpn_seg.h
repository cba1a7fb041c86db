// A layer of the bidirectional feature pyramid of FRSKD's segmentation networks (EfficientDet's
// BiFPN as in MingiJi/FRSKD, segmentation/utils/BiFPN.py).
#pragma once

#include <torch/nn/module.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/types.h>

#include <vector>

#include "distill/models/batch_norm.h"

namespace reflux {

// Levels, finest first.
struct PyramidMaps {
  std::vector<torch::Tensor> maps;         // [N,C,h_i,w_i], after their ReLU
  std::vector<torch::Tensor> before_relu;  // the same maps before it
};

// A block is a 1x1 convolution of each channel with its own weight and bias, a batch norm and a
// ReLU. Up: from the coarsest level to the finest, the level below resized bilinearly (pixel
// centres) and added to the input. Down, in all but the last layer: input, up path and the finer
// output, resized by nearest neighbour, are added. Parameters carry the published names
// ("conv2up.0.weight" is the finest level's). Levels may have any size, also the same. Not
// thread-safe in training mode.
class BifpnSegLayerImpl : public torch::nn::Module {
 public:
  BifpnSegLayerImpl(int64_t channels, int64_t levels, bool last, double norm_epsilon = 1e-5);

  // `maps` [N,channels,*,*], one for each level; the results have the same shapes.
  PyramidMaps forward(const std::vector<torch::Tensor>& maps);
  // The norm that each level's output ends with, before its ReLU.
  std::vector<BatchNorm2d> final_norms() const;

 private:
  PyramidMaps Up(const std::vector<torch::Tensor>& maps);

  std::vector<torch::nn::Sequential> up_;
  std::vector<torch::nn::Sequential> down_;  // of levels 1 and above; none in the last layer
};
TORCH_MODULE(BifpnSegLayer);

}  // namespace reflux
