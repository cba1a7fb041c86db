#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>
#include <unistd.h>

#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/file.h"
#include "distill/checkpoint/backbone_weights.h"
#include "distill/checkpoint/checkpoint_layout.h"
#include "distill/checkpoint/model_checkpoint.h"
#include "distill/models/build_model.h"
#include "tests/unit/distill/checkpoint/legacy_writer.h"

namespace reflux {
namespace {

using testing::HasSubstr;
using torch::Tensor;

std::string TempFile(const std::string& name) {
  const auto* info = testing::UnitTest::GetInstance()->current_test_info();
  const std::string folder =
      absl::StrCat(testing::TempDir(), "/reflux_import_", getpid(), "_", info->name());
  std::filesystem::create_directories(folder);
  return absl::StrCat(folder, "/", name);
}

ModelOptions SmallOptions() { return {.num_classes = 3, .aspp_width = 8}; }

std::shared_ptr<SegmentationModel> SmallModel(uint64_t seed) {
  auto model = *BuildModel(SmallOptions());
  InitializeWeights(*model, seed);
  return model;
}

NamedTensors State(const SegmentationModel& model, const std::string& prefix) {
  NamedTensors state;
  for (const auto& item : model.named_parameters()) state[prefix + item.key()] = item.value();
  for (const auto& item : model.named_buffers()) state[prefix + item.key()] = item.value();
  return state;
}

std::string WritePth(const NamedTensors& state) {
  std::string path = TempFile("weights.pth");
  EXPECT_TRUE(WriteFileAtomically(path, LegacyTorchFile(state)).ok());
  return path;
}

TEST(CheckpointImportTest, ValuesAreThoseThatPythonWrote) {
  for (const char* name : {"zip.pth", "legacy.pth", "protocol4.pth"}) {
    const auto file = OpenWeightFile(absl::StrCat(REFLUX_CHECKPOINT_DATA, "/", name));
    ASSERT_TRUE(file.ok()) << file.status();
    const auto value = [&](const char* tensor) { return *(*file)->Load(tensor); };
    const Tensor plain = torch::arange(12, torch::kFloat32).reshape({3, 4});
    EXPECT_TRUE(torch::equal(value("plain"), plain));
    EXPECT_TRUE(torch::equal(value("transposed"), plain.t()));
    EXPECT_TRUE(value("transposed").is_contiguous());
    EXPECT_TRUE(torch::equal(value("part"), plain.slice(0, 1).slice(1, 1, 3)));
    EXPECT_TRUE(torch::equal(value("half"), torch::tensor({0.5, 65504.0}, torch::kFloat16)));
    EXPECT_TRUE(torch::equal(value("bfloat16"), torch::tensor({1.0, -3.0}, torch::kBFloat16)));
    EXPECT_EQ(value("count").item<int64_t>(), 7);
    EXPECT_EQ(value("empty").sizes(), torch::IntArrayRef({0, 3}));
    EXPECT_EQ((*file)->Load("nothing").status().code(), absl::StatusCode::kNotFound);
    EXPECT_THAT((*file)->remarks(), testing::Contains("prefix taken off: module."));
  }
}

TEST(CheckpointImportTest, AFileOfCirkdIsANetworkWithItsPreprocessing) {
  const auto model = SmallModel(1);
  const auto loaded = LoadModelCheckpoint(WritePth(State(*model, "module.")));
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(TeacherDigest(*loaded->model), TeacherDigest(*model));
  EXPECT_EQ(loaded->info.options.architecture, "deeplabv3_resnet18");
  EXPECT_TRUE(loaded->info.preprocessing.bgr);
  EXPECT_EQ(loaded->info.preprocessing.divisor, 1);
  EXPECT_EQ(loaded->info.preprocessing.mean[0], 104.00698793);
  EXPECT_EQ(loaded->info.extra.at("layout"), "cirkd");

  const std::string own = TempFile("own.safetensors");
  ASSERT_TRUE(SaveModelCheckpoint(own, *loaded->model, loaded->info).ok());
  const auto again = LoadModelCheckpoint(own);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(TeacherDigest(*again->model), TeacherDigest(*model));
  EXPECT_EQ(again->info.preprocessing, loaded->info.preprocessing);
}

TEST(CheckpointImportTest, AnotherLayoutMayBeNamed) {
  const std::string path = WritePth(State(*SmallModel(1), ""));
  const auto file = OpenWeightFile(path, "torchvision");
  ASSERT_TRUE(file.ok()) << file.status();
  const auto loaded = LoadModelCheckpoint(**file);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->info.preprocessing, Preprocessing());
  const auto unknown = OpenWeightFile(path, "keras");
  EXPECT_THAT(std::string(unknown.status().message()), HasSubstr("known are cirkd, torchvision"));
}

// Every network of mmsegmentation that is known, narrow.
TEST(CheckpointImportTest, AFileOfMmsegIsANetworkWithItsPreprocessing) {
  for (const char* name : {"mmseg_deeplabv3_resnet18", "mmseg_psp_resnet18"}) {
    auto model = *BuildModel({.architecture = name, .num_classes = 5, .aspp_width = 8});
    InitializeWeights(*model, 3);
    const auto loaded = LoadModelCheckpoint(WritePth(State(*model, "")));
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    EXPECT_EQ(loaded->info.options.architecture, name);
    EXPECT_EQ(loaded->info.options.num_classes, 5);
    EXPECT_EQ(loaded->info.options.aspp_width, 8);
    EXPECT_TRUE(loaded->info.options.aux);
    EXPECT_EQ(loaded->info.extra.at("layout"), "mmseg");
    EXPECT_EQ(loaded->info.preprocessing.divisor, 1);
    EXPECT_EQ(loaded->info.preprocessing.mean[0], 123.675);
    EXPECT_FALSE(loaded->model->align_corners());
    EXPECT_EQ(TeacherDigest(*loaded->model), TeacherDigest(*model));
  }
}

TEST(CheckpointImportTest, ALayoutGivesItsPreprocessingToSafetensorsToo) {
  const std::string path = TempFile("own.safetensors");
  CheckpointInfo info{.options = SmallOptions()};
  ASSERT_TRUE(SaveModelCheckpoint(path, *SmallModel(1), info).ok());
  EXPECT_EQ(LoadModelCheckpoint(path, "auto")->info.preprocessing, Preprocessing());
  EXPECT_EQ(LoadModelCheckpoint(path, "reflux")->info.preprocessing, Preprocessing());
  EXPECT_TRUE(LoadModelCheckpoint(path, "cirkd")->info.preprocessing.bgr);
}

TEST(CheckpointImportTest, LayoutRefluxRefusesFilesOfOthers) {
  const std::string bare = TempFile("bare.safetensors");
  ASSERT_TRUE(WriteSafetensors(bare, State(*SmallModel(1), ""), {{"format", "pt"}}).ok());
  for (const std::string& path : {bare, WritePth(State(*SmallModel(1), ""))}) {
    const absl::Status status = LoadModelCheckpoint(path, "reflux").status();
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("try layout auto, or one of cirkd"));
  }
}

TEST(CheckpointLayoutTest, EqualPreprocessingsAreKnownAsSuch) {
  const auto of = [](const char* name) { return FindLayout(name)->preprocessing; };
  EXPECT_TRUE(SamePreprocessing(of("mmseg"), of("torchvision")));
  EXPECT_FALSE(SamePreprocessing(of("cirkd"), of("torchvision")));
  EXPECT_EQ(DescribePreprocessing(of("cirkd")), "BGR, mean subtracted");
  EXPECT_EQ(DescribePreprocessing(of("mmseg")), "RGB, mean and deviation");
}

TEST(CheckpointImportTest, MissingNamesAreListed) {
  NamedTensors state = State(*SmallModel(1), "");
  state.erase("head.block.1.bias");
  state["head.extra"] = torch::ones({1});
  const auto loaded = LoadModelCheckpoint(WritePth(state));
  EXPECT_THAT(std::string(loaded.status().message()),
              testing::AllOf(HasSubstr("missing tensors: 1 (head.block.1.bias)"),
                             HasSubstr("unexpected tensors: 1 (head.extra)")));
}

TEST(BackboneWeightsTest, AClassifiersStemAndStagesAreTaken) {
  const auto source = SmallModel(1), model = SmallModel(2);
  NamedTensors classifier = {{"fc.weight", torch::ones({10, 512})}};
  for (const auto& [name, tensor] : State(*source, "")) {
    absl::string_view rest = name;
    if (absl::ConsumePrefix(&rest, "pretrained.")) classifier[std::string(rest)] = tensor;
  }
  const Tensor head = model->named_parameters()["head.block.4.weight"].clone();
  const std::string path = WritePth(classifier);
  const auto load = LoadBackboneWeights(path, *model);
  ASSERT_TRUE(load.ok()) << load.status();
  EXPECT_EQ(load->loaded, static_cast<int64_t>(classifier.size()) - 1);
  EXPECT_THAT(load->ignored, testing::ElementsAre("fc.weight"));
  EXPECT_EQ(load->ToString(), absl::StrCat(load->loaded,
                                           " tensors taken; not taken: fc.weight; "
                                           "as drawn: auxlayer, head"));
  EXPECT_TRUE(torch::equal(model->named_parameters()["pretrained.layer4.1.conv2.weight"],
                           source->named_parameters()["pretrained.layer4.1.conv2.weight"]));
  EXPECT_TRUE(torch::equal(model->named_parameters()["head.block.4.weight"], head));

  classifier.erase("layer1.0.conv1.weight");
  const auto incomplete = LoadBackboneWeights(WritePth(classifier), *model);
  EXPECT_THAT(std::string(incomplete.status().message()),
              HasSubstr("pretrained.layer1.0.conv1.weight (missing)"));
}

// The name of "backbone.features.4.conv.3.weight" in torchvision's nested blocks.
std::string TorchvisionName(const std::string& name) {
  static const auto* const first =
      new std::map<char, std::string>{{'0', "0.0"}, {'1', "0.1"}, {'3', "1"}, {'4', "2"}};
  static const auto* const later = new std::map<char, std::string>{
      {'0', "0.0"}, {'1', "0.1"}, {'3', "1.0"}, {'4', "1.1"}, {'6', "2"}, {'7', "3"}};
  const size_t at = name.find(".conv.");
  if (at == std::string::npos) return name;
  const auto& blocks = absl::StartsWith(name, "features.1.") ? *first : *later;
  return name.substr(0, at + 6) + blocks.at(name[at + 6]) + name.substr(at + 7);
}

TEST(BackboneWeightsTest, TorchvisionsMobileNetV2NestsItsBlocks) {
  for (const char* name : {"deeplabv3_mobilenetv2", "deeplabv3plus_mobilenetv2"}) {
    const auto build = [&](uint64_t seed) {
      auto model = *BuildModel({.architecture = name, .num_classes = 3, .aspp_width = 8});
      InitializeWeights(*model, seed);
      return model;
    };
    const auto source = build(1), model = build(2);
    NamedTensors classifier = {{"classifier.1.weight", torch::ones({10, 1280})},
                               {"features.18.0.weight", torch::ones({1280, 320, 1, 1})}};
    for (const auto& [key, tensor] : State(*source, "")) {
      const size_t at = key.find("features.");
      if (at != std::string::npos) classifier[TorchvisionName(key.substr(at))] = tensor;
    }
    const auto load = LoadBackboneWeights(WritePth(classifier), *model);
    ASSERT_TRUE(load.ok()) << load.status();
    EXPECT_THAT(load->ignored, testing::ElementsAre("classifier.1.weight", "features.18.0.weight"));
    for (const auto& [key, tensor] : State(*source, "")) {
      if (key.find("features.") == std::string::npos) continue;
      EXPECT_TRUE(torch::equal(State(*model, "").at(key), tensor)) << key;
    }
  }
}

TEST(BackboneWeightsTest, AnotherStemIsNamed) {
  const auto seven = *BuildModel({.architecture = "deeplabv3plus_resnet18", .aspp_width = 8});
  NamedTensors classifier;
  for (const auto& [name, tensor] : State(*seven, "")) {
    absl::string_view rest = name;
    if (absl::ConsumePrefix(&rest, "backbone.")) classifier[std::string(rest)] = tensor;
  }
  const auto model = SmallModel(2);
  const Digest before = TeacherDigest(*model);
  const auto load = LoadBackboneWeights(WritePth(classifier), *model);
  EXPECT_THAT(std::string(load.status().message()),
              testing::AllOf(HasSubstr("pretrained.bn2.bias (missing)"),
                             HasSubstr("pretrained.conv1.weight ([64, 3, 7, 7], not "),
                             HasSubstr("a 7x7 stem, as deeplabv3plus_* and torchvision_* have")));
  EXPECT_EQ(TeacherDigest(*model), before);
  EXPECT_EQ(LoadBackboneWeights(WritePth(State(*seven, "")), *seven)->ignored.size(),
            State(*seven, "").size() - classifier.size());
}

}  // namespace
}  // namespace reflux
