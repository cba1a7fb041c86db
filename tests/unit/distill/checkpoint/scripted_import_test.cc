// The weights of a TorchScript module as a network of ours: read as data, its program never runs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/script.h>
#include <unistd.h>

#include <filesystem>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "distill/checkpoint/model_checkpoint.h"
#include "distill/models/build_model.h"

namespace reflux {
namespace {

using testing::HasSubstr;

// A module under construction: its tensors and, by name, its parts.
struct Part {
  std::map<std::string, torch::Tensor> parameters, buffers;
  std::map<std::string, Part> parts;
};

Part* PartOf(Part& root, const std::string& name, std::string& leaf) {
  std::vector<std::string> path = absl::StrSplit(name, '.');
  leaf = path.back();
  path.pop_back();
  Part* part = &root;
  for (const std::string& step : path) part = &part->parts[step];
  return part;
}

torch::jit::Module Scripted(const Part& part, const std::string& type) {
  torch::jit::Module module("__torch__." + type);
  for (const auto& [name, tensor] : part.parameters)
    module.register_parameter(name, tensor.detach().clone().requires_grad_(), false);
  for (const auto& [name, tensor] : part.buffers) module.register_buffer(name, tensor);
  for (const auto& [name, child] : part.parts)
    module.register_module(name, Scripted(child, absl::StrCat(type, "_", name)));
  return module;
}

class ScriptedImportTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = absl::StrCat(testing::TempDir(), "/reflux_scripted_import_", getpid(), "_",
                           testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::create_directories(folder_);
    model_ = *BuildModel({.num_classes = 3, .aspp_width = 8});
    InitializeWeights(*model_, 5);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  // The network's names and weights in a module whose program fails whenever it runs.
  std::string Save(const std::string& prefix = "", const torch::jit::ExtraFilesMap& extra = {}) {
    Part root;
    std::string leaf;
    for (const auto& item : model_->named_parameters())
      PartOf(root, prefix + item.key(), leaf)->parameters[leaf] = item.value();
    for (const auto& item : model_->named_buffers())
      PartOf(root, prefix + item.key(), leaf)->buffers[leaf] = item.value();
    torch::jit::Module module = Scripted(root, "Network");
    module.register_attribute("scale", c10::TensorType::get(), torch::ones({2}));
    module.define("def forward(self, x):\n    assert 1 == 2, 'it ran'\n    return x\n");
    std::string path = absl::StrCat(folder_, "/network.pt");
    module.save(path, extra);
    return path;
  }

  std::string folder_;
  std::shared_ptr<SegmentationModel> model_;
};

TEST_F(ScriptedImportTest, GivesTheNetworkThatItsNamesFit) {
  const auto file = OpenScriptedWeights(Save());
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_THAT((*file)->remarks(), testing::IsSupersetOf({"format: TorchScript, which was not run",
                                                         "not weights: scale"}));
  const auto loaded = LoadModelCheckpoint(**file);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->info.options.architecture, "deeplabv3_resnet18");
  EXPECT_EQ(TeacherDigest(*loaded->model), TeacherDigest(*model_));
  EXPECT_TRUE(loaded->info.preprocessing.bgr) << "CIRKD's, whose names they are";
}

TEST_F(ScriptedImportTest, TakesOffWhatAWrapperAdded) {
  const auto file = OpenScriptedWeights(Save("module."));
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_THAT((*file)->remarks(), testing::Contains("prefix taken off: module."));
  EXPECT_EQ(TeacherDigest(*LoadModelCheckpoint(**file)->model), TeacherDigest(*model_));
}

TEST_F(ScriptedImportTest, PreparesImagesAsTheLayoutOrTheModuleSays) {
  const std::string path = Save("", {{"preprocessing", R"({"order": "RGB", "divisor": 255,
      "mean": [0.5, 0.5, 0.5], "deviation": [0.25, 0.25, 0.25]})"}});
  const auto saved = LoadModelCheckpoint(**OpenScriptedWeights(path));
  ASSERT_TRUE(saved.ok()) << saved.status();
  EXPECT_FALSE(saved->info.preprocessing.bgr);
  EXPECT_EQ(saved->info.preprocessing.deviation[2], 0.25);
  const auto named = LoadModelCheckpoint(**OpenScriptedWeights(path, "cirkd"));
  ASSERT_TRUE(named.ok()) << named.status();
  EXPECT_TRUE(named->info.preprocessing.bgr);
}

TEST_F(ScriptedImportTest, AnythingElseIsRefused) {
  EXPECT_THAT(std::string(OpenScriptedWeights(Save(), "tensorflow").status().message()),
              HasSubstr("unknown layout 'tensorflow'"));
  EXPECT_TRUE(absl::IsInvalidArgument(
      OpenScriptedWeights(absl::StrCat(REFLUX_CHECKPOINT_DATA, "/zip.pth")).status()));
  EXPECT_TRUE(
      absl::IsInvalidArgument(OpenScriptedWeights(Save("", {{"preprocessing", "{}"}})).status()));
  EXPECT_TRUE(absl::IsNotFound(OpenScriptedWeights(folder_ + "/nothing.pt").status()));
}

}  // namespace
}  // namespace reflux
