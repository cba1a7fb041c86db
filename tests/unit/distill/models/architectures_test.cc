// Every architecture: names, parameters, taps, and what a file of its weights is taken for.
#include "distill/models/architectures.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "distill/models/build_model.h"
#include "distill/models/image_classifier.h"
#include "distill/models/model_cost.h"

namespace reflux {
namespace {

using testing::HasSubstr;
using torch::Tensor;

std::shared_ptr<SegmentationModel> Build(const ModelOptions& options) {
  auto model = BuildModel(options);
  EXPECT_TRUE(model.ok()) << model.status();
  return *model;
}

struct Reference {
  const char* architecture;
  const char* file;  // of the reference's state_dict
  int64_t num_classes;
};

class ParameterNamesTest : public testing::TestWithParam<Reference> {};

TEST_P(ParameterNamesTest, AreTheReferences) {
  const auto model =
      Build({.architecture = GetParam().architecture, .num_classes = GetParam().num_classes});
  std::set<std::string> ours, theirs;
  const auto add = [&](const auto& item, const char* dtype) {
    ours.insert(
        absl::StrCat(item.key(), "\t[", absl::StrJoin(item.value().sizes(), ", "), "]\t", dtype));
  };
  for (const auto& item : model->named_parameters()) add(item, "float32");
  for (const auto& item : model->named_buffers()) {
    add(item, item.value().is_floating_point() ? "float32" : "int64");
  }
  std::ifstream in(
      absl::StrCat(REFLUX_SOURCE_DIR "/tests/golden/data/keys_", GetParam().file, ".txt"));
  for (std::string line; std::getline(in, line);) {
    if (line[0] != '#') theirs.insert(line);
  }
  EXPECT_EQ(ours, theirs);
}

INSTANTIATE_TEST_SUITE_P(
    References, ParameterNamesTest,
    testing::Values(Reference{"deeplabv3_resnet18", "afdcd_deeplabv3_resnet18", 19},
                    Reference{"deeplabv3_resnet101", "afdcd_deeplabv3_resnet101", 19},
                    Reference{"deeplabv3_mobilenetv2", "afdcd_deeplabv3_mobilenetv2", 19},
                    Reference{"psp_resnet18", "afdcd_psp_resnet18", 19},
                    Reference{"psp_mobilenetv2", "cirkd_psp_mobilenetv2", 19},
                    Reference{"torchvision_deeplabv3_mobilenet_v3_large",
                              "torchvision_deeplabv3_mobilenet_v3_large", 21}),
    [](const auto& info) { return std::string(info.param.architecture); });

class ArchitectureTest : public testing::TestWithParam<std::string> {};

// Published counts at 21 classes: AICSD's 59.3 and 16.6 million, torchvision's own numbers.
const std::map<std::string, int64_t>& PublishedParameters() {
  static const auto* const counts =
      new std::map<std::string, int64_t>{{"deeplabv3plus_resnet101", 59344309},
                                         {"deeplabv3plus_resnet18", 16608181},
                                         {"torchvision_deeplabv3_resnet101", 60996202},
                                         {"torchvision_deeplabv3_mobilenet_v3_large", 11029328}};
  return *counts;
}

ShapeOfFn ShapesOf(const torch::nn::Module& model) {
  std::map<std::string, std::vector<int64_t>> shapes;
  for (const auto& item : model.named_parameters()) shapes[item.key()] = item.value().sizes().vec();
  return [shapes](const std::string& name) -> std::optional<std::vector<int64_t>> {
    const auto found = shapes.find(name);
    if (found == shapes.end()) return std::nullopt;
    return found->second;
  };
}

TEST_P(ArchitectureTest, TapsAreAsAnnouncedAndItsFileIsRecognised) {
  const torch::NoGradGuard no_grad;
  const auto model = Build({.architecture = GetParam(), .num_classes = 21});
  EXPECT_EQ(model->architecture(), GetParam());
  EXPECT_EQ(RecogniseArchitecture(ShapesOf(*model)), FindArchitecture(GetParam()));
  if (const auto found = PublishedParameters().find(GetParam());
      found != PublishedParameters().end()) {
    EXPECT_EQ(MeasureCost(*model, 64, 64).parameters, found->second);
  }
  model->eval();
  std::vector<std::string> names;
  for (const auto& tap : model->taps()) names.push_back(tap.name);
  const bool classifier = model->taps().back().stride == 0;
  EXPECT_EQ(classifier, GetParam() == "cifar_resnet18" || GetParam() == "wrn16x2");
  EXPECT_THAT(names, testing::IsSupersetOf({"c1", "c2", "c3", "logits"}));
  if (!classifier) {
    EXPECT_THAT(names, testing::IsSupersetOf({"c4", "aspp"}));
  }
  const TapOutputs outputs = model->Forward(torch::rand({1, 3, 32, 64}), names);
  ASSERT_EQ(outputs.size(), names.size());
  for (const auto& tap : model->taps()) {
    const auto side = [&](int64_t pixels) {
      return tap.stride == 0 ? 1 : (pixels + tap.stride - 1) / tap.stride;
    };
    EXPECT_EQ(outputs.at(tap.name).sizes(),
              torch::IntArrayRef({1, tap.channels, side(32), side(64)}))
        << tap.name;
  }
}

INSTANTIATE_TEST_SUITE_P(All, ArchitectureTest, testing::ValuesIn(KnownArchitectures()),
                         [](const auto& info) { return info.param; });

TEST(ArchitecturesTest, StridesAreTheReferencesAndOthersAreRefused) {
  const auto stride = [](const char* name, int64_t wanted) {
    const auto options = ResolveModelOptions({.architecture = name, .output_stride = wanted});
    return options.ok() ? options->output_stride : -1;
  };
  EXPECT_EQ(stride("psp_resnet18", 0), 8);
  EXPECT_EQ(stride("psp_resnet18", 16), 16);
  EXPECT_EQ(stride("deeplabv3plus_mobilenetv2", 0), 16);
  EXPECT_EQ(stride("torchvision_deeplabv3_mobilenet_v3_large", 0), 16);
  EXPECT_EQ(stride("torchvision_deeplabv3_mobilenet_v3_large", 8), -1);
  EXPECT_EQ(stride("efficientdet_b0_seg", 0), 32);
  EXPECT_EQ(stride("efficientdet_b0_seg", 16), -1);
  for (const char* name : {"psp_mobilenetv2", "deeplabv3plus_mobilenetv2", "psp_resnet18"}) {
    for (const int64_t wanted : {8, 16}) {
      torch::NoGradGuard no_grad;
      const auto model = Build({.architecture = name, .output_stride = wanted, .aspp_width = 8});
      model->eval();
      const Tensor c4 = model->Forward(torch::rand({1, 3, 32, 48}), {"c4"}).at("c4");
      EXPECT_EQ(c4.size(3), 48 / wanted) << name;
    }
  }
}

// EfficientNet-B0 has 5288548 parameters (Tan and Le); its 1x1 convolution to 1280 channels with
// its norm and its classifier of 1000 classes are left out.
TEST(ArchitecturesTest, EfficientDetHasThePublishedBackbone) {
  const auto model = Build({.architecture = "efficientdet_b0_seg", .num_classes = 21});
  int64_t backbone = 0, whole = 0;
  for (const auto& item : model->named_parameters()) {
    whole += item.value().numel();
    if (item.key().rfind("backbone.", 0) == 0) backbone += item.value().numel();
  }
  EXPECT_EQ(backbone + 320 * 1280 + 2 * 1280 + 1280 * 1000 + 1000, 5288548);
  EXPECT_EQ(whole, 4052497);  // as FRSKD's code makes it, without the self-teacher
  EXPECT_EQ(MeasureCost(*model, 512, 512).parameters, whole);
}

// Its parameters have the names of CIFAR's.
TEST(ArchitecturesTest, AnImageNetResNetIsNotTakenForCifars) {
  const auto imagenet = BuildImageClassifier({.architecture = "resnet18", .num_classes = 10});
  const auto cifar = BuildImageClassifier({.architecture = "cifar_resnet18", .num_classes = 10});
  EXPECT_EQ(RecogniseArchitecture(ShapesOf(**imagenet)), nullptr);
  EXPECT_EQ(RecogniseArchitecture(ShapesOf(**cifar)), FindArchitecture("cifar_resnet18"));
}

TEST(ArchitecturesTest, ClassifiersHaveNoHeadToChoose) {
  EXPECT_FALSE(ResolveModelOptions({.architecture = "wrn16x2", .output_stride = 8}).ok());
  EXPECT_FALSE(ResolveModelOptions({.architecture = "wrn16x2", .aspp_width = 64}).ok());
  EXPECT_EQ(ResolveModelOptions({.architecture = "wrn16x2"})->output_stride, 0);
}

TEST(ArchitecturesTest, AuxiliaryHeadWhereThereIsOne) {
  EXPECT_FALSE(ResolveModelOptions({.architecture = "psp_mobilenetv2"})->aux);
  EXPECT_TRUE(ResolveModelOptions({.architecture = "psp_resnet18"})->aux);
  EXPECT_FALSE(ResolveModelOptions({.architecture = "psp_resnet18", .aux = false})->aux);
}

TEST(BuildModelTest, ErrorsSayWhatIsAllowed) {
  const auto unknown = BuildModel({.architecture = "deeplabv4"}).status();
  EXPECT_EQ(unknown.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(unknown.message()), HasSubstr("deeplabv3_resnet101"));
  for (const ModelOptions& options :
       {ModelOptions{.num_classes = 1}, ModelOptions{.output_stride = 32},
        ModelOptions{.aspp_width = -1}, ModelOptions{.head_dropout = 1},
        ModelOptions{.norm_epsilon = 0}, ModelOptions{.norm_momentum = 0}}) {
    EXPECT_EQ(BuildModel(options).status().code(), absl::StatusCode::kInvalidArgument);
  }
}

double LargestMagnitude(const Tensor& tensor) { return tensor.abs().max().item<double>(); }

TEST(InitializeWeightsTest, DependsOnSeedAndNameOnly) {
  const auto a = Build({.num_classes = 3, .output_stride = 8, .aspp_width = 8});
  const auto b = Build({.num_classes = 3, .output_stride = 16, .aspp_width = 8});
  InitializeWeights(*a, 3);
  InitializeWeights(*b, 3);
  const auto of_a = a->named_parameters(), of_b = b->named_parameters();
  for (const auto& item : of_a) {
    EXPECT_TRUE(torch::equal(item.value(), of_b[item.key()])) << item.key();
  }
  const Tensor weight = of_a["pretrained.layer4.1.conv2.weight"].detach();
  EXPECT_NEAR(weight.std().item<double>(), std::sqrt(2.0 / (512 * 9)), 1e-4);
  EXPECT_NEAR(weight.mean().item<double>(), 0, 1e-4);
  EXPECT_EQ(LargestMagnitude(of_a["pretrained.layer4.1.bn2.weight"]), 0);
  EXPECT_EQ(of_a["pretrained.layer4.1.bn1.weight"].min().item<double>(), 1);
  EXPECT_EQ(of_a["pretrained.bn2.weight"].min().item<double>(), 1);
  const Tensor head = of_a["head.aspp.b1.block.0.weight"].detach();
  EXPECT_LE(LargestMagnitude(head), 1 / std::sqrt(512.0 * 9));
  EXPECT_NEAR(head.std().item<double>(), 1 / std::sqrt(3 * 512.0 * 9), 1e-3);
  InitializeWeights(*b, 4);
  EXPECT_FALSE(torch::equal(weight, of_b["pretrained.layer4.1.conv2.weight"]));
}

// Blocks with a shortcut begin as their shortcut, blocks without one do not.
TEST(InitializeWeightsTest, InvertedResidualsBeginAsTheirShortcut) {
  const auto v2 = Build({.architecture = "deeplabv3plus_mobilenetv2", .aspp_width = 16});
  const auto v3 = Build({.architecture = "torchvision_deeplabv3_mobilenet_v3_large"});
  InitializeWeights(*v2, 1);
  InitializeWeights(*v3, 1);
  const auto of_v2 = v2->named_parameters(), of_v3 = v3->named_parameters();
  EXPECT_EQ(LargestMagnitude(of_v2["backbone.features.3.conv.7.weight"]), 0);
  EXPECT_EQ(LargestMagnitude(of_v2["backbone.features.4.conv.7.weight"]), 1);
  EXPECT_EQ(LargestMagnitude(of_v3["backbone.3.block.2.1.weight"]), 0);
  EXPECT_EQ(LargestMagnitude(of_v3["backbone.2.block.2.1.weight"]), 1);
  EXPECT_EQ(LargestMagnitude(of_v3["backbone.4.block.2.fc1.bias"]), 0);
  const Tensor aspp = of_v2["aspp.aspp2.atrous_conv.weight"].detach();
  EXPECT_NEAR(aspp.std().item<double>(), std::sqrt(2.0 / (320 * 9)), 1e-3);
}

// Counted by hand from the strides of the parts.
TEST(ModelCostTest, IsTheSumOverTheConvolutions) {
  const int64_t height = 97, width = 313;
  const auto positions = [&](int64_t stride) {
    return ((height + stride - 1) / stride) * ((width + stride - 1) / stride);
  };
  const auto model = Build({.num_classes = 19});
  int64_t parameters = 0, expected = 0;
  for (const auto& item : model->named_parameters()) {
    const auto begins = [&](const char* start) { return item.key().rfind(start, 0) == 0; };
    parameters += item.value().numel();
    if (item.value().dim() != 4 || begins("auxlayer")) continue;
    const int64_t stride = begins("pretrained.conv") ? 2 : begins("pretrained.layer1") ? 4 : 8;
    expected += item.value().numel() * (begins("head.aspp.b4") ? 1 : positions(stride));
  }
  const ModelCost cost = MeasureCost(*model, height, width);
  EXPECT_EQ(cost.parameters, parameters);
  EXPECT_EQ(cost.multiply_adds, expected);

  // The bins of a pyramid do not grow with the image.
  const auto psp = Build({.architecture = "psp_mobilenetv2"});
  const int64_t bins = (1 + 4 + 9 + 36) * 320 * 80;
  EXPECT_EQ(MeasureCost(*psp, 128, 64).multiply_adds - bins,
            2 * (MeasureCost(*psp, 64, 64).multiply_adds - bins));
}

}  // namespace
}  // namespace reflux
