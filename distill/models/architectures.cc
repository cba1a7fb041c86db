#include "distill/models/architectures.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "distill/models/cirkd_heads.h"
#include "distill/models/deeplabv3plus_head.h"
#include "distill/models/image_classifier.h"
#include "distill/models/mobilenet_v2.h"
#include "distill/models/mobilenet_v3.h"
#include "distill/models/resnet.h"
#include "distill/models/segmentation_network.h"
#include "distill/models/torchvision_head.h"

namespace reflux {
namespace {

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
constexpr std::array<ResNetSize, 4> kResNets = {{{"resnet18", {2, 2, 2, 2}, false},
                                                 {"resnet34", {3, 4, 6, 3}, false},
                                                 {"resnet50", {3, 4, 6, 3}, true},
                                                 {"resnet101", {3, 4, 23, 3}, true}}};

// `style` without the fields that size and `ModelOptions` decide; `parent` of the weights' names.
BackboneEntry ResNetEntry(const ResNetSize& size, ResNetOptions style, const std::string& parent) {
  style.blocks = size.blocks;
  style.bottleneck = size.bottleneck;
  BackboneEntry entry{.name = size.name, .last_channels = size.bottleneck ? 2048 : 512};
  entry.build = [style](const ModelOptions& o) {
    ResNetOptions options = style;
    options.output_stride = o.output_stride;
    options.norm = HeadNorm(o);
    return std::make_shared<ResNet>(options);
  };
  const std::string third = parent + ".layer3.", conv3 = parent + ".layer1.0.conv3.weight";
  entry.present = {absl::StrCat(third, size.blocks[2] - 1, ".conv1.weight")};
  entry.absent = {absl::StrCat(third, size.blocks[2], ".conv1.weight")};
  (size.bottleneck ? entry.present : entry.absent).push_back(conv3);
  return entry;
}

BackboneEntry MobileNetV2Entry(MobileNetV2Options style, const std::string& features) {
  BackboneEntry entry{.name = "mobilenetv2", .last_channels = 320};
  entry.build = [style](const ModelOptions& o) {
    MobileNetV2Options options = style;
    options.output_stride = o.output_stride;
    options.norm = HeadNorm(o);
    return std::make_shared<MobileNetV2>(options);
  };
  entry.present = {features + ".17.conv.6.weight"};
  return entry;
}

AuxiliaryHead MakeAuxiliary(const Backbone& backbone, int stage, const ModelOptions& options,
                            bool torchvision) {
  const int64_t in = backbone.stages()[stage].channels;
  AuxiliaryHead head{ClassifierBlock(in, in / 4, options), stage};
  head.name = torchvision ? "aux_classifier" : "auxlayer";
  head.module = torchvision ? head.block.sequence() : Nested("block", head.block.sequence());
  return head;
}

// A family of networks: what its members share.
struct Family {
  std::string backbone_name;  // child of the network
  HeadFactory head;
  int auxiliary_stage = -1;  // -1: no auxiliary head
  bool torchvision = false;
};

std::shared_ptr<SegmentationModel> Compose(const Family& family, const BackboneFactory& backbone,
                                           const ModelOptions& options) {
  NetworkParts parts{.backbone_name = family.backbone_name, .backbone = backbone(options)};
  parts.head = family.head(*parts.backbone, options);
  if (options.aux) {
    parts.auxiliary =
        MakeAuxiliary(*parts.backbone, family.auxiliary_stage, options, family.torchvision);
  }
  parts.align_corners = !family.torchvision;
  return std::make_shared<SegmentationNetwork>(options, std::move(parts));
}

Architecture Member(const Family& family, const BackboneEntry& backbone, Architecture base) {
  base.present.insert(base.present.end(), backbone.present.begin(), backbone.present.end());
  base.absent.insert(base.absent.end(), backbone.absent.begin(), backbone.absent.end());
  base.build = [family, build = backbone.build](const ModelOptions& options) {
    return Compose(family, build, options);
  };
  if (family.auxiliary_stage >= 0) {
    base.auxiliary = family.torchvision ? "aux_classifier.4.weight" : "auxlayer.block.4.weight";
  }
  return base;
}

template <typename H>
std::unique_ptr<Head> OnLastStage(const Backbone& backbone, const ModelOptions& options) {
  return std::make_unique<H>(backbone.stages()[3], options);
}

std::unique_ptr<Head> OnFirstAndLastStage(const Backbone& backbone, const ModelOptions& options) {
  return std::make_unique<DeepLabV3PlusHead>(backbone.stages()[0], backbone.stages()[3], options);
}

// CIRKD and Af-DCD: DeepLabV3 as wide as in Af-DCD, PSPNet a quarter of the last stage.
void AddCirkd(const BackboneEntry& backbone, bool auxiliary, std::vector<Architecture>& table) {
  Family family{.backbone_name = "pretrained", .auxiliary_stage = auxiliary ? 2 : -1};
  family.head = OnLastStage<DeepLabV3Head>;
  table.push_back(Member(family, backbone,
                         {.name = "deeplabv3_" + backbone.name,
                          .aspp_width = backbone.last_channels == 2048 ? 256 : 128,
                          .output_strides = {8, 16},
                          .classifier = "head.block.4.weight",
                          .width = "head.aspp.b0.0.weight",
                          .present = {"head.aspp.b0.0.weight"}}));
  family.head = OnLastStage<PspHead>;
  table.push_back(Member(family, backbone,
                         {.name = "psp_" + backbone.name,
                          .aspp_width = backbone.last_channels == 2048 ? 512 : 128,
                          .output_strides = {8, 16},
                          .classifier = "head.classifier.weight",
                          .width = "head.block.0.weight",
                          .present = {"head.psp.conv1.0.weight"}}));
}

void AddAicsd(const BackboneEntry& backbone, std::vector<Architecture>& table) {
  table.push_back(Member({.backbone_name = "backbone", .head = OnFirstAndLastStage}, backbone,
                         {.name = "deeplabv3plus_" + backbone.name,
                          .aspp_width = 256,
                          .output_strides = {16, 8},
                          .classifier = "decoder.last_conv.8.weight",
                          .width = "aspp.conv1.weight",
                          .present = {"decoder.last_conv.8.weight"}}));
}

void AddTorchvision(const BackboneEntry& backbone, std::vector<int64_t> strides,
                    int auxiliary_stage, std::vector<Architecture>& table) {
  const Family family{.backbone_name = "backbone",
                      .head = OnLastStage<TorchvisionHead>,
                      .auxiliary_stage = auxiliary_stage,
                      .torchvision = true};
  table.push_back(Member(family, backbone,
                         {.name = "torchvision_deeplabv3_" + backbone.name,
                          .aspp_width = 256,
                          .output_strides = std::move(strides),
                          .classifier = "classifier.4.weight",
                          .width = "classifier.0.project.0.weight",
                          .present = {"classifier.0.project.0.weight"}}));
}

// `mark` is a tensor's name, or its name and shape: "conv1.weight [64, 3, 3, 3]".
bool HasMark(const ShapeOfFn& shape_of, const std::string& mark) {
  const size_t space = mark.find(' ');
  const std::optional<std::vector<int64_t>> shape = shape_of(mark.substr(0, space));
  if (!shape.has_value() || space == std::string::npos) return shape.has_value();
  return absl::StrCat("[", absl::StrJoin(*shape, ", "), "]") == mark.substr(space + 1);
}

// `marks` tell its weights from those of others; of the stem the shape too, since ImageNet's ResNet
// has the same names.
Architecture Classifier(const std::string& name, std::vector<std::string> marks) {
  Architecture entry{.name = name, .output_strides = {0}, .classifier = "fc.weight"};
  entry.present = std::move(marks);
  entry.build = [](const ModelOptions& options) -> std::shared_ptr<SegmentationModel> {
    return *BuildImageClassifier({.architecture = options.architecture,
                                  .num_classes = options.num_classes,
                                  .norm_epsilon = options.norm_epsilon,
                                  .norm_momentum = options.norm_momentum});
  };
  return entry;
}

std::vector<Architecture> MakeTable() {
  std::vector<Architecture> table;
  const ResNetOptions aicsd{.deep_stem = false, .halve_first_dilation = false, .multi_grid = true};
  for (const ResNetSize& size : kResNets) {
    AddCirkd(ResNetEntry(size, {}, "pretrained"), /*auxiliary=*/true, table);
    AddAicsd(ResNetEntry(size, aicsd, "backbone"), table);
  }
  AddCirkd(MobileNetV2Entry({}, "pretrained.net.features"), /*auxiliary=*/false, table);
  AddAicsd(MobileNetV2Entry({.aicsd = true, .parent = ""}, "backbone.features"), table);
  AddTorchvision(ResNetEntry(kResNets[3], {.deep_stem = false}, "backbone"), {8, 16}, 2, table);
  BackboneEntry mobilenet_v3{.name = "mobilenet_v3_large", .last_channels = 960};
  mobilenet_v3.build = [](const ModelOptions&) { return std::make_shared<MobileNetV3Large>(); };
  mobilenet_v3.present = {"backbone.15.block.3.0.weight"};
  AddTorchvision(mobilenet_v3, {16}, 1, table);
  table.push_back(Classifier("cifar_resnet18",
                             {"fc.weight", "layer4.1.bn2.weight", "conv1.weight [64, 3, 3, 3]"}));
  table.push_back(
      Classifier("wrn16x2", {"fc.weight", "block3bn.weight", "block3.layer.1.bn2.weight",
                             "block1.layer.0.conv1.weight [32, 16, 3, 3]"}));
  std::sort(table.begin(), table.end(),
            [](const Architecture& a, const Architecture& b) { return a.name < b.name; });
  return table;
}

}  // namespace

const std::vector<Architecture>& Architectures() {
  static const auto* const table = new std::vector<Architecture>(MakeTable());
  return *table;
}

const Architecture* FindArchitecture(absl::string_view name) {
  for (const Architecture& architecture : Architectures()) {
    if (absl::string_view(architecture.name) == name) return &architecture;
  }
  return nullptr;
}

const Architecture* RecogniseArchitecture(const ShapeOfFn& shape_of) {
  const auto contains = [&](const std::string& mark) { return HasMark(shape_of, mark); };
  for (const Architecture& a : Architectures()) {
    if (std::all_of(a.present.begin(), a.present.end(), contains) &&
        std::none_of(a.absent.begin(), a.absent.end(), contains)) {
      return &a;
    }
  }
  return nullptr;
}

}  // namespace reflux
