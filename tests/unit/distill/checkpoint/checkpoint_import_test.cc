#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>
#include <unistd.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/file.h"
#include "distill/checkpoint/backbone_weights.h"
#include "distill/checkpoint/model_checkpoint.h"
#include "distill/models/build_model.h"

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

std::string Raw(uint64_t value, size_t bytes) {
  return std::string(reinterpret_cast<const char*>(&value), bytes);
}
std::string Text(const std::string& text) { return "X" + Raw(text.size(), 4) + text; }
std::string Number(int64_t value) { return "J" + Raw(static_cast<uint32_t>(value), 4); }
std::string Numbers(torch::IntArrayRef values) {
  std::string tuple = "(";
  for (const int64_t value : values) tuple += Number(value);
  return tuple + "t";
}

// What torch.save(..., _use_new_zipfile_serialization=False) writes of contiguous tensors.
class LegacyWriter {
 public:
  explicit LegacyWriter(const NamedTensors& state) {
    std::string object = "\x80\x02}(" + Text("epoch") + "K\x09" + Text("state_dict") + "}(";
    std::string keys = "\x80\x02](", data;
    for (const auto& [name, tensor] : state) {
      const Tensor values = tensor.detach().contiguous();
      const std::string key = absl::StrCat("key", count_++);
      object += Text(name) + Rebuild(values, key);
      keys += Text(key);
      data += Raw(values.numel(), 8);
      data.append(static_cast<const char*>(values.data_ptr()), values.nbytes());
    }
    const std::string system = "\x80\x02}" + Text("little_endian") + "\x88s.";
    bytes_ = std::string(
                 "\x80\x02\x8a\x0al\xfc\x9c"
                 "F\xf9 j\xa8P\x19.") +
             "\x80\x02" + "M\xe9\x03." + system + object + "uu." + keys + "e." + data;
  }
  const std::string& bytes() const { return bytes_; }

 private:
  static std::string Rebuild(const Tensor& values, const std::string& key) {
    const std::string storage =
        values.scalar_type() == torch::kInt64 ? "LongStorage" : "FloatStorage";
    return "ctorch._utils\n_rebuild_tensor_v2\n((" + Text("storage") + "ctorch\n" + storage + "\n" +
           Text(key) + Text("cpu") + Number(values.numel()) + "NtQK" + std::string(1, '\0') +
           Numbers(values.sizes()) + Numbers(values.strides()) + "\x89NtR";
  }
  int count_ = 0;
  std::string bytes_;
};

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
  EXPECT_TRUE(WriteFileAtomically(path, LegacyWriter(state).bytes()).ok());
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
  EXPECT_TRUE(torch::equal(model->named_parameters()["pretrained.layer4.1.conv2.weight"],
                           source->named_parameters()["pretrained.layer4.1.conv2.weight"]));
  EXPECT_TRUE(torch::equal(model->named_parameters()["head.block.4.weight"], head));

  classifier.erase("layer1.0.conv1.weight");
  const auto incomplete = LoadBackboneWeights(WritePth(classifier), *model);
  EXPECT_THAT(std::string(incomplete.status().message()),
              HasSubstr("pretrained.layer1.0.conv1.weight (missing)"));
}

}  // namespace
}  // namespace reflux
