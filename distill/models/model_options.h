// What network to build. Torch-free.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace reflux {

struct ModelOptions {
  std::string architecture = "deeplabv3_resnet18";  // one of KnownArchitectures()
  int64_t num_classes = 19;
  // Input pixels per position of c4: 8, 16 or 32, which not every architecture has; 0: its own.
  int64_t output_stride = 0;
  // Channels of the head: of the ASPP branches and of its last map; with a PSPNet of the last map
  // alone. 0: the architecture's own (128 for DeepLabV3 on ResNet-18, 256 on ResNet-101 as in
  // Af-DCD; CIRKD's checkpoints have 512).
  int64_t aspp_width = 0;
  bool aux = true;  // with an auxiliary head, if the architecture has one
  double head_dropout = 0.1;
  double aspp_dropout = 0.5;
  double norm_epsilon = 1e-5;  // MobileNetV3's backbone has its own, and its own momentum
  double norm_momentum = 0.1;

  // InvalidArgument names the field, its value and what is allowed. Fields only.
  absl::Status Validate() const;
  static constexpr int64_t kMaxClasses = 65536, kMaxWidth = 4096;
};

std::vector<std::string> KnownArchitectures();

}  // namespace reflux
