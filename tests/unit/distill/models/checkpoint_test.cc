#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "distill/checkpoint/model_checkpoint.h"
#include "distill/models/build_model.h"

namespace reflux {
namespace {

using testing::HasSubstr;

std::string TempFile() {
  const auto* info = testing::UnitTest::GetInstance()->current_test_info();
  const std::string folder =
      absl::StrCat(testing::TempDir(), "/reflux_", getpid(), "_", info->name());
  std::filesystem::create_directories(folder);
  return folder + "/model.safetensors";
}

CheckpointInfo SmallInfo() {
  CheckpointInfo info;
  info.options = {.num_classes = 3, .output_stride = 16, .aspp_width = 8, .norm_epsilon = 2e-5};
  info.preprocessing.bgr = true;
  info.preprocessing.mean = {0.1, 0.2, 0.3};
  info.classes = {"sky", "road", "tree"};
  info.extra = {{"step", "42"}};
  return info;
}

const SegmentationModel& SmallModel() {
  static const auto* const model = [] {
    auto built = *BuildModel(SmallInfo().options);
    InitializeWeights(*built, 1);
    return new std::shared_ptr<SegmentationModel>(built);
  }();
  return **model;
}

// The small model's state with every tensor that decides no option shrunk to nothing: enough for
// errors that are found before the values are read.
NamedTensors HollowState() {
  NamedTensors state;
  for (const auto& item : SmallModel().named_parameters()) state[item.key()] = torch::empty({0});
  for (const auto& item : SmallModel().named_buffers()) state[item.key()] = torch::empty({0});
  for (const char* name : {"head.block.4.weight", "head.aspp.b0.0.weight"}) {
    state[name] = SmallModel().named_parameters()[name];
  }
  return state;
}

std::string LoadError(const NamedTensors& state, const StringMap& metadata = {}) {
  const std::string path = TempFile();
  EXPECT_TRUE(WriteSafetensors(path, state, metadata).ok());
  const auto loaded = LoadModelCheckpoint(path);
  EXPECT_FALSE(loaded.ok());
  return std::string(loaded.status().message());
}

TEST(ModelCheckpointTest, EverythingComesBack) {
  const std::string path = TempFile();
  ASSERT_TRUE(SaveModelCheckpoint(path, SmallModel(), SmallInfo()).ok());
  const auto loaded = LoadModelCheckpoint(path);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(TeacherDigest(*loaded->model), TeacherDigest(SmallModel()));
  EXPECT_EQ(loaded->info.preprocessing, SmallInfo().preprocessing);
  EXPECT_EQ(loaded->info.classes, SmallInfo().classes);
  EXPECT_EQ(loaded->info.extra, SmallInfo().extra);
  EXPECT_EQ(loaded->info.options.norm_epsilon, 2e-5);
  EXPECT_FALSE(loaded->model->is_training());

  const auto summary = InspectCheckpoint(path);
  ASSERT_TRUE(summary.ok()) << summary.status();
  for (const char* text :
       {"layout: reflux\n", "architecture: deeplabv3_resnet18", "classes: 3 (sky, road, tree)",
        "output stride: 16", "head width: 8", "BGR", "step: 42", "aspp (8 channels, stride 16)"}) {
    EXPECT_THAT(summary->ToString(), HasSubstr(text));
  }

  auto other = *BuildModel({.num_classes = 4, .aspp_width = 8});
  const auto classes = LoadModelWeights(path, *other);
  EXPECT_EQ(classes.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(classes.message()), HasSubstr("3 classes, wanted are 4"));
  std::filesystem::remove(path);
}

TEST(ModelCheckpointTest, FileOfAnotherCodeBaseIsReadByItsNames) {
  const std::string path = TempFile();
  NamedTensors state;
  for (const auto& item : SmallModel().named_parameters()) state[item.key()] = item.value();
  for (const auto& item : SmallModel().named_buffers()) {
    if (item.value().is_floating_point()) state[item.key()] = item.value();
  }
  ASSERT_TRUE(WriteSafetensors(path, state, {{"format", "pt"}}).ok());
  const auto loaded = LoadModelCheckpoint(path);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->info.options.aspp_width, 8);
  EXPECT_EQ(loaded->info.options.num_classes, 3);
  EXPECT_EQ(loaded->info.options.output_stride, 8);
  const auto summary = InspectCheckpoint(path);
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_EQ(summary->layout, "cirkd");
  EXPECT_THAT(
      summary->ToString(),
      HasSubstr("\nlayout: cirkd (CIRKD and Af-DCD), guessed from the names of its tensors\n"));
  // The same weights at another stride are another teacher.
  EXPECT_NE(TeacherDigest(*loaded->model), TeacherDigest(SmallModel()));
  std::filesystem::remove(path);
}

TEST(ModelCheckpointTest, EveryFamilyComesBackWithAndWithoutMetadata) {
  for (const char* name : {"psp_mobilenetv2", "deeplabv3plus_mobilenetv2",
                           "torchvision_deeplabv3_mobilenet_v3_large"}) {
    CheckpointInfo info;
    info.options = *ResolveModelOptions({.architecture = name, .num_classes = 3, .aspp_width = 8});
    const auto model = *BuildModel(info.options);
    const std::string path = TempFile();
    ASSERT_TRUE(SaveModelCheckpoint(path, *model, info).ok());
    const auto described = LoadModelCheckpoint(path);
    ASSERT_TRUE(described.ok()) << described.status();
    EXPECT_EQ(TeacherDigest(*described->model), TeacherDigest(*model)) << name;
    EXPECT_EQ(described->info.options.aux, info.options.aux);

    NamedTensors state;
    for (const auto& item : model->named_parameters()) state[item.key()] = item.value();
    for (const auto& item : model->named_buffers()) state[item.key()] = item.value();
    ASSERT_TRUE(WriteSafetensors(path, state, {}).ok());
    const auto bare = LoadModelCheckpoint(path);
    ASSERT_TRUE(bare.ok()) << bare.status();
    EXPECT_EQ(TeacherDigest(*bare->model), TeacherDigest(*model)) << name;
    std::filesystem::remove(path);
  }
}

TEST(ModelCheckpointTest, MissingAndUnexpectedNamesAreListed) {
  NamedTensors state = HollowState();
  for (int i = 0; i < 7; ++i) state[absl::StrCat("extra", i)] = torch::empty({0});
  state.erase("head.block.1.bias");
  EXPECT_THAT(LoadError(state),
              testing::AllOf(HasSubstr("missing tensors: 1 (head.block.1.bias)"),
                             HasSubstr("unexpected tensors: 7 (extra0, extra1, extra2, extra3, "
                                       "extra4, ...)")));
}

TEST(ModelCheckpointTest, ContradictionsAreNamed) {
  const StringMap ours = {{"format", "reflux-model-1"}, {"architecture", "deeplabv3_resnet18"}};
  const auto with = [&](const std::string& key, const std::string& value) {
    StringMap metadata = ours;
    metadata[key] = value;
    return LoadError(HollowState(), metadata);
  };
  EXPECT_THAT(LoadError(HollowState()), HasSubstr("has shape [0], the network needs"));
  EXPECT_THAT(with("architecture", "unet"), HasSubstr("known are"));
  EXPECT_THAT(with("architecture", "deeplabv3_resnet101"), HasSubstr("the weights have deep"));
  EXPECT_THAT(with("num_classes", "11"), HasSubstr("num_classes 11, the weights have 3"));
  EXPECT_THAT(with("classes", R"(["a"])"), HasSubstr("names 1 classes"));
  EXPECT_THAT(with("classes", "{"), HasSubstr("'classes'"));
  EXPECT_THAT(with("preprocessing", "{}"), HasSubstr("'preprocessing' is malformed"));
  EXPECT_THAT(with("preprocessing", R"({"order":"RGB","divisor":0,"mean":[0,0,0],)"
                                    R"("deviation":[1,1,1]})"),
              HasSubstr("divides by zero"));
  EXPECT_THAT(with("output_stride", "4"), HasSubstr("8 or 16"));
  EXPECT_THAT(LoadError({{"x", torch::ones({1})}}), HasSubstr("no known network"));
}

TEST(ModelCheckpointTest, DescriptionMustBeOfTheModel) {
  CheckpointInfo info = SmallInfo();
  info.classes = {"one"};
  EXPECT_EQ(SaveModelCheckpoint(TempFile(), SmallModel(), info).code(),
            absl::StatusCode::kInvalidArgument);
}

class TinyModel : public SegmentationModel {
 public:
  TinyModel() {
    auto a = register_module("a", std::make_shared<Weight>());
    register_buffer("b", torch::tensor(3.0, torch::kFloat64));
    counter = register_buffer("num_batches_tracked", torch::zeros({}, torch::kInt64));
  }
  TapOutputs Forward(const torch::Tensor& images, const std::vector<std::string>&) override {
    return {{"logits", images}};
  }
  std::vector<TapInfo> taps() const override { return {{"logits", 2, 1}}; }
  int64_t num_classes() const override { return 2; }
  std::string architecture() const override { return "tiny"; }
  std::string configuration() const override { return "k=v"; }
  torch::Tensor counter;

 private:
  struct Weight : torch::nn::Module {
    Weight() { register_parameter("weight", torch::tensor({{0.5f, -2.0f}})); }
  };
};

// Computed by hand from the layout in model_checkpoint.h: a change makes every cached target
// unreachable.
TEST(TeacherDigestTest, IsPinned) {
  TinyModel model;
  const Digest digest = TeacherDigest(model);
  EXPECT_EQ(digest.Hex(), "6772a435d9b7654c86a2962e981aaa3424ee987bd33967c8357093c5e96061d4");
  model.counter.add_(1);
  EXPECT_EQ(TeacherDigest(model), digest);
  torch::NoGradGuard no_grad;
  model.named_parameters()["a.weight"][0][0] = 0.25;
  EXPECT_NE(TeacherDigest(model), digest);
}

}  // namespace
}  // namespace reflux
