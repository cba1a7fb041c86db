// The dilated MobileNetV2 backbone (Sandler et al., arXiv 1801.04381), as two code bases have it.
#pragma once

#include <torch/types.h>

#include <memory>
#include <string>
#include <vector>

#include "distill/models/backbone.h"

namespace reflux {

struct MobileNetV2Options {
  int64_t output_stride = 8;  // 8 or 16: what would be strided beyond is dilated
  // AICSD: a block pads its input before the 1x1 expansion, so the border of what the depthwise
  // convolution reads is the expansion's answer to zeros; and dilation grows with the next group of
  // blocks. CIRKD: the depthwise convolution pads; dilation grows with the next block.
  bool aicsd = false;
  // Child of the backbone that holds "features"; empty: the backbone itself.
  std::string parent = "net";
  NormOptions norm;
};

// Stages: 24 channels (blocks 1 to 3), 32 (4 to 6), 96 (7 to 13), 320 (14 to 17); the 1x1
// convolution to 1280 channels is left out.
class MobileNetV2 : public Backbone {
 public:
  explicit MobileNetV2(const MobileNetV2Options& options);

  StageMaps Forward(const torch::Tensor& images) override;
  std::array<StageShape, 4> stages() const override;

 private:
  MobileNetV2Options options_;
  std::vector<std::shared_ptr<Layer>> layers_;
};

}  // namespace reflux
