#include "distill/models/architecture_parts.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "distill/models/segmentation_network.h"

namespace reflux {
namespace {

std::shared_ptr<torch::nn::Module> NamedAsMmseg(const torch::nn::Module& sequence) {
  const auto parts = sequence.children();  // convolution, norm, activation, dropout, classifier
  auto block = std::make_shared<torch::nn::Module>();
  block->register_module("conv", parts[0]);
  block->register_module("bn", parts[1]);
  auto head = Nested("convs", Nested("0", block));
  head->register_module("dropout", parts[3]);
  head->register_module("conv_seg", parts[4]);
  return head;
}

AuxiliaryHead MakeAuxiliary(const Backbone& backbone, int stage, const ModelOptions& options,
                            Naming naming) {
  const int64_t in = backbone.stages()[stage].channels;
  AuxiliaryHead head{ClassifierBlock(in, in / 4, options), stage};
  const auto sequence = head.block.sequence();
  switch (naming) {
    case Naming::kCirkd:
      head.name = "auxlayer";
      head.module = Nested("block", sequence);
      break;
    case Naming::kTorchvision:
      head.name = "aux_classifier";
      head.module = sequence;
      break;
    case Naming::kMmseg:
      head.name = "auxiliary_head";
      head.module = NamedAsMmseg(*sequence);
  }
  return head;
}

std::string AuxiliaryClassifier(Naming naming) {
  switch (naming) {
    case Naming::kCirkd:
      return "auxlayer.block.4.weight";
    case Naming::kTorchvision:
      return "aux_classifier.4.weight";
    case Naming::kMmseg:
      return "auxiliary_head.conv_seg.weight";
  }
  return "";
}

std::shared_ptr<SegmentationModel> Compose(const Family& family, const BackboneFactory& backbone,
                                           const ModelOptions& options) {
  NetworkParts parts{.backbone_name = family.backbone_name, .backbone = backbone(options)};
  parts.head = family.head(*parts.backbone, options);
  if (options.aux) {
    parts.auxiliary =
        MakeAuxiliary(*parts.backbone, family.auxiliary_stage, options, family.naming);
  }
  parts.align_corners = family.align_corners;
  return std::make_shared<SegmentationNetwork>(options, std::move(parts));
}

}  // namespace

const std::array<ResNetSize, 4>& ResNetSizes() {
  static constexpr std::array<ResNetSize, 4> kSizes = {{{"resnet18", {2, 2, 2, 2}, false},
                                                        {"resnet34", {3, 4, 6, 3}, false},
                                                        {"resnet50", {3, 4, 6, 3}, true},
                                                        {"resnet101", {3, 4, 23, 3}, true}}};
  return kSizes;
}

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

Architecture Member(const Family& family, const BackboneEntry& backbone, Architecture base) {
  base.present.insert(base.present.end(), backbone.present.begin(), backbone.present.end());
  base.absent.insert(base.absent.end(), backbone.absent.begin(), backbone.absent.end());
  base.build = [family, build = backbone.build](const ModelOptions& options) {
    return Compose(family, build, options);
  };
  if (family.auxiliary_stage >= 0) base.auxiliary = AuxiliaryClassifier(family.naming);
  return base;
}

}  // namespace reflux
