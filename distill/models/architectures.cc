#include "distill/models/architectures.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "distill/models/architecture_parts.h"
#include "distill/models/cirkd_heads.h"
#include "distill/models/deeplabv3plus_head.h"
#include "distill/models/efficientdet_head.h"
#include "distill/models/efficientnet.h"
#include "distill/models/image_classifier.h"
#include "distill/models/mmseg_heads.h"
#include "distill/models/mobilenet_v3.h"
#include "distill/models/torchvision_head.h"

namespace reflux {
namespace {

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
                      .naming = Naming::kTorchvision,
                      .align_corners = false};
  table.push_back(Member(family, backbone,
                         {.name = "torchvision_deeplabv3_" + backbone.name,
                          .aspp_width = 256,
                          .output_strides = std::move(strides),
                          .classifier = "classifier.4.weight",
                          .width = "classifier.0.project.0.weight",
                          .present = {"classifier.0.project.0.weight"}}));
}

// mmsegmentation (which has no ResNet-34): output stride 8, a head a quarter as wide as the last
// stage.
void AddMmseg(const BackboneEntry& backbone, std::vector<Architecture>& table) {
  Family family{.backbone_name = "backbone",
                .auxiliary_stage = 2,
                .naming = Naming::kMmseg,
                .align_corners = false};
  Architecture base{.aspp_width = backbone.last_channels / 4,
                    .output_strides = {8},
                    .classifier = "decode_head.conv_seg.weight",
                    .width = "decode_head.bottleneck.conv.weight"};
  family.head = OnLastStage<MmsegDeepLabV3Head>;
  base.name = "mmseg_deeplabv3_" + backbone.name;
  base.present = {"backbone.stem.0.weight", "decode_head.image_pool.1.conv.weight"};
  table.push_back(Member(family, backbone, base));
  family.head = OnLastStage<MmsegPspHead>;
  base.name = "mmseg_psp_" + backbone.name;
  base.present = {"backbone.stem.0.weight", "decode_head.psp_modules.0.1.conv.weight"};
  table.push_back(Member(family, backbone, base));
}

// FRSKD's segmentation.
void AddEfficientDet(std::vector<Architecture>& table) {
  BackboneEntry backbone{.name = "efficientnet_b0", .last_channels = 320};
  backbone.build = [](const ModelOptions&) { return std::make_shared<EfficientNetB0>(); };
  backbone.present = {"backbone._blocks.15._project_conv.weight"};
  Family family{.backbone_name = "backbone", .align_corners = false};
  family.head = [](const Backbone& b, const ModelOptions& options) {
    return std::make_unique<EfficientDetHead>(b.stages(), options);
  };
  table.push_back(Member(family, backbone,
                         {.name = "efficientdet_b0_seg",
                          .aspp_width = 256,
                          .output_strides = {32},
                          .classifier = "classifier1.3.weight",
                          .width = "classifier1.0.weight",
                          .present = {"BiFPN1.0.conv2up.0.weight"}}));
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
  const ResNetOptions aicsd{
      .stem = ResNetStem::kSeven, .halve_first_dilation = false, .multi_grid = true};
  const ResNetOptions mmseg{.stem = ResNetStem::kV1c, .dilate_second = false};
  for (const ResNetSize& size : ResNetSizes()) {
    AddCirkd(ResNetEntry(size, {}, "pretrained"), /*auxiliary=*/true, table);
    AddAicsd(ResNetEntry(size, aicsd, "backbone"), table);
    if (size.name != std::string("resnet34")) AddMmseg(ResNetEntry(size, mmseg, "backbone"), table);
  }
  AddCirkd(MobileNetV2Entry({}, "pretrained.net.features"), /*auxiliary=*/false, table);
  AddAicsd(MobileNetV2Entry({.aicsd = true, .parent = ""}, "backbone.features"), table);
  AddTorchvision(ResNetEntry(ResNetSizes()[3], {.stem = ResNetStem::kSeven}, "backbone"), {8, 16},
                 2, table);
  BackboneEntry mobilenet_v3{.name = "mobilenet_v3_large", .last_channels = 960};
  mobilenet_v3.build = [](const ModelOptions&) { return std::make_shared<MobileNetV3Large>(); };
  mobilenet_v3.present = {"backbone.15.block.3.0.weight"};
  AddTorchvision(mobilenet_v3, {16}, 1, table);
  AddEfficientDet(table);
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
