// What the table of architectures is composed of: backbones with their marks in a file of weights,
// and families of networks that share a head. Internal to distill/models.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "distill/models/architectures.h"
#include "distill/models/head.h"
#include "distill/models/mobilenet_v2.h"
#include "distill/models/resnet.h"

namespace reflux {

using BackboneFactory = std::function<std::shared_ptr<Backbone>(const ModelOptions&)>;
using HeadFactory = std::function<std::unique_ptr<Head>(const Backbone&, const ModelOptions&)>;

// A backbone as one of the code bases has it, with the marks of its weights in a file.
struct BackboneEntry {
  std::string name;
  int64_t last_channels = 0;
  BackboneFactory build;
  std::vector<std::string> present, absent;
};

struct ResNetSize {
  const char* name;
  std::array<int64_t, 4> blocks;
  bool bottleneck;
};
// ResNet-18, 34, 50 and 101.
const std::array<ResNetSize, 4>& ResNetSizes();

// `style` without the fields that size and `ModelOptions` decide; `parent` of the weights' names.
BackboneEntry ResNetEntry(const ResNetSize& size, ResNetOptions style, const std::string& parent);
BackboneEntry MobileNetV2Entry(MobileNetV2Options style, const std::string& features);

// Under whose names an auxiliary head stands.
enum class Naming { kCirkd, kTorchvision, kMmseg };

// A family of networks: what its members share.
struct Family {
  std::string backbone_name;  // child of the network
  HeadFactory head;
  int auxiliary_stage = -1;  // -1: no auxiliary head
  Naming naming = Naming::kCirkd;
  bool align_corners = true;
};

// `base` completed: its marks, its auxiliary head and how it is built.
Architecture Member(const Family& family, const BackboneEntry& backbone, Architecture base);

}  // namespace reflux
