// The seam that every network meets; a classifier's logits have one position. Torch modules, not
// thread-safe in training mode; `Forward` of an eval-mode model may run from several threads.
#pragma once

#include <torch/nn/module.h>
#include <torch/types.h>

#include <map>
#include <string>
#include <vector>

namespace reflux {

// A named feature map of a network.
struct TapInfo {
  std::string name;  // "logits", "aspp", "c1".."c4", "aux"; see docs/models.md
  int64_t channels = 0;
  int64_t stride = 0;  // input pixels per map position; 0: one position for all
};

// Tap name -> [N,C,h,w].
using TapOutputs = std::map<std::string, torch::Tensor>;

class SegmentationModel : public torch::nn::Module {
 public:
  // `images` is [N,3,H,W], preprocessed. Returns at least "logits" (at the network's stride, not
  // resized) and every tap in `wanted`; in training mode also "aux" when the network has an
  // auxiliary head. Throws c10::Error for a tap that is not in taps().
  virtual TapOutputs Forward(const torch::Tensor& images,
                             const std::vector<std::string>& wanted) = 0;
  virtual std::vector<TapInfo> taps() const = 0;
  virtual int64_t num_classes() const = 0;
  // Architecture name as in the job file, e.g. "deeplabv3_resnet18".
  virtual std::string architecture() const = 0;
  // What decides an output besides architecture and weights, "output_stride=8 norm_epsilon=1e-05":
  // part of the teacher's identity. Empty when the weights say it all.
  virtual std::string configuration() const { return ""; }
  // How its logits are brought to the image's size: bilinearly with corners aligned, or not
  // (torchvision's networks).
  virtual bool align_corners() const { return true; }
};

}  // namespace reflux
