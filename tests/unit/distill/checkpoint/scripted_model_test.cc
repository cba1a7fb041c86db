// TorchScript modules: outputs as taps, identity of the code, files that are cut or damaged.
#include "distill/checkpoint/scripted_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <map>

#include "absl/strings/str_cat.h"
#include "common/base/file.h"
#include "distill/checkpoint/byte_source.h"
#include "distill/checkpoint/scripted_listing.h"
#include "distill/models/placement.h"

namespace reflux {
namespace {

using testing::HasSubstr;
using torch::Tensor;

class ScriptedModelTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = absl::StrCat(testing::TempDir(), "/reflux_scripted_", getpid(), "_",
                           testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  // A network of 4 classes at stride 2 with a batch norm, whose forward ends with `result`, made
  // of `logits` and `map`.
  std::string Save(const std::string& result, const std::string& name = "module.pt",
                   const torch::jit::ExtraFilesMap& extra = {}) const {
    torch::jit::Module norm("__torch__.Norm");
    norm.register_parameter("weight", torch::ones({5}).requires_grad_(), false);
    norm.register_parameter("bias", torch::zeros({5}).requires_grad_(), false);
    norm.register_buffer("running_mean", torch::zeros({5}));
    norm.register_buffer("running_var", torch::ones({5}));
    norm.register_attribute("training", c10::BoolType::get(), true);
    norm.define(R"(
def forward(self, x):
    return torch.batch_norm(x, self.weight, self.bias, self.running_mean, self.running_var,
                            self.training, 0.1, 1e-5, False)
)");
    torch::jit::Module module("__torch__.Network");
    module.register_parameter(
        "first", torch::linspace(-1, 1, 5 * 3).reshape({5, 3, 1, 1}).requires_grad_(), false);
    module.register_parameter(
        "last", torch::linspace(1, -1, 4 * 5).reshape({4, 5, 1, 1}).requires_grad_(), false);
    module.register_buffer("order", torch::arange(3, torch::kInt32));
    module.register_attribute("training", c10::BoolType::get(), true);
    module.register_module("norm", norm);
    module.define(absl::StrCat(R"(
def forward(self, x):
    map = torch.relu(self.norm.forward(torch.conv2d(x, self.first, None, [2, 2])))
    logits = torch.conv2d(map, self.last)
    )",
                               result, "\n"));
    std::string path = absl::StrCat(folder_, "/", name);
    module.save(path, extra);
    return path;
  }

  std::shared_ptr<ScriptedModel> Load(const std::string& path) const {
    auto loaded = LoadScriptedModel(path);
    EXPECT_TRUE(loaded.ok()) << loaded.status();
    return loaded->model;
  }

  std::string folder_;
};

std::vector<std::string> TapTexts(const SegmentationModel& model) {
  std::vector<std::string> texts;
  for (const TapInfo& tap : model.taps())
    texts.push_back(absl::StrCat(tap.name, " ", tap.channels, "/", tap.stride));
  return texts;
}

TEST_F(ScriptedModelTest, OutputsAreTaps) {
  using testing::ElementsAre;
  EXPECT_THAT(TapTexts(*Load(Save("return logits"))), ElementsAre("logits 4/2"));
  EXPECT_THAT(TapTexts(*Load(Save("return logits, map, map.sum()"))),
              ElementsAre("logits 4/2", "output1 5/2"));
  EXPECT_THAT(TapTexts(*Load(Save("return [logits, map]"))),
              ElementsAre("logits 4/2", "output1 5/2"));
  EXPECT_THAT(TapTexts(*Load(Save("return {'logits': logits, 'c1': map}"))),
              ElementsAre("c1 5/2", "logits 4/2"));
  EXPECT_THAT(TapTexts(*Load(Save("return {'out': logits, 'aux': logits}"))),
              ElementsAre("aux 4/2", "logits 4/2"));
}

TEST_F(ScriptedModelTest, WeightsAreTheModulesOwnAndTrain) {
  const auto model = Load(Save("return {'logits': logits, 'c1': map}"));
  EXPECT_EQ(model->num_classes(), 4);
  EXPECT_THAT(model->named_parameters().keys(),
              testing::ElementsAre("first", "last", "norm.weight", "norm.bias"));
  EXPECT_THAT(model->norms(), testing::ElementsAre("norm"));
  EXPECT_THAT(model->random_operators(), testing::IsEmpty());
  PlaceModule(*model, torch::kCPU, torch::kFloat64, /*channels_last=*/true);
  const Tensor images = torch::rand({2, 3, 8, 12}, torch::kFloat64);
  model->train();
  const Tensor logits = model->Forward(images, {"c1"}).at("logits");
  EXPECT_EQ(logits.scalar_type(), torch::kFloat64);
  logits.square().sum().backward();
  EXPECT_GT(model->named_parameters()["first"].grad().abs().sum().item<double>(), 0);
  EXPECT_GT(model->named_buffers()["norm.running_mean"].abs().sum().item<double>(), 0);
  model->eval();
  const torch::NoGradGuard no_gradients;
  const Tensor before = model->Forward(images, {}).at("logits");
  EXPECT_TRUE(torch::equal(model->Forward(images, {}).at("logits"), before));
  model->named_parameters()["last"].mul_(2);
  EXPECT_TRUE(torch::allclose(model->Forward(images, {}).at("logits"), 2 * before));
  const Preprocessing bgr{.bgr = true, .divisor = 1, .mean = {1, 2, 3}, .deviation = {1, 1, 1}};
  ASSERT_TRUE(model->Save(folder_ + "/again.pt", bgr).ok());
  EXPECT_EQ(TeacherDigest(*Load(folder_ + "/again.pt")).Hex().size(), 64U);
  EXPECT_EQ(LoadScriptedModel(folder_ + "/again.pt")->preprocessing, bgr);
}

TEST_F(ScriptedModelTest, AnUnknownTapSaysThatModulesCannotBeTapped) {
  const auto model = Load(Save("return logits"));
  try {
    model->Forward(torch::zeros({1, 3, 8, 8}), {"norm"});
    FAIL() << "no error";
  } catch (const c10::Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("no output 'norm'; it has logits (module paths cannot"));
  }
}

TEST_F(ScriptedModelTest, RandomOperatorsAreNamed) {
  EXPECT_THAT(Load(Save("return torch.dropout(logits, 0.5, self.training)"))->random_operators(),
              testing::ElementsAre("aten::dropout"));
  // Python's nn.Dropout: two calls deep.
  EXPECT_THAT(Load(absl::StrCat(REFLUX_CHECKPOINT_DATA, "/scripted.pt"))->random_operators(),
              testing::ElementsAre("aten::dropout"));
}

TEST_F(ScriptedModelTest, TheDigestIsOfWeightsAndCode) {
  const auto digest = [&](const std::string& path) { return TeacherDigest(*Load(path)); };
  const Digest first = digest(Save("return logits"));
  EXPECT_EQ(digest(Save("return logits", "renamed.pt")), first);
  EXPECT_NE(digest(Save("return logits * 2.0")), first);
  const auto model = Load(Save("return logits"));
  const torch::NoGradGuard no_gradients;
  model->named_parameters()["last"].mul_(2);
  EXPECT_NE(TeacherDigest(*model), first);
}

TEST_F(ScriptedModelTest, PreprocessingMayBeSavedWithIt) {
  const auto with = [&](const std::string& text) {
    return LoadScriptedModel(Save("return logits", "with.pt", {{"preprocessing", text}}));
  };
  EXPECT_EQ(LoadScriptedModel(Save("return logits"))->preprocessing, Preprocessing());
  const auto bgr = with(R"({"order":"BGR","divisor":1,"mean":[1,2,3],"deviation":[1,1,1]})");
  ASSERT_TRUE(bgr.ok()) << bgr.status();
  EXPECT_TRUE(bgr->preprocessing.bgr);
  EXPECT_THAT(std::string(with("{}").status().message()), HasSubstr("malformed"));
}

TEST_F(ScriptedModelTest, TheListingAgreesWithWhatRuns) {
  for (const std::string& path :
       {Save("return logits"), absl::StrCat(REFLUX_CHECKPOINT_DATA, "/scripted.pt")}) {
    ASSERT_TRUE(IsTorchScript(path));
    const auto listing = ListScriptedFile(OpenByteSource(path).value());
    ASSERT_TRUE(listing.ok()) << listing.status();
    const auto model = Load(path);
    EXPECT_EQ("code=" + listing->code_digest, model->configuration());
    std::map<std::string, std::vector<int64_t>> parameters, buffers, expected_parameters,
        expected_buffers;
    for (const ScriptedTensor& tensor : listing->tensors) {
      if (tensor.kind == ScriptedTensor::Kind::kParameter)
        parameters[tensor.name] = tensor.stored.shape;
      if (tensor.kind == ScriptedTensor::Kind::kBuffer) buffers[tensor.name] = tensor.stored.shape;
    }
    for (const auto& item : model->named_parameters())
      expected_parameters[item.key()] = item.value().sizes().vec();
    for (const auto& item : model->named_buffers())
      expected_buffers[item.key()] = item.value().sizes().vec();
    EXPECT_EQ(parameters, expected_parameters);
    EXPECT_EQ(buffers, expected_buffers);
  }
  EXPECT_FALSE(IsTorchScript(absl::StrCat(REFLUX_CHECKPOINT_DATA, "/zip.pth")));
  EXPECT_FALSE(IsTorchScript(folder_ + "/nothing.pt"));
}

TEST_F(ScriptedModelTest, IsACheckpointToCommands) {
  const auto scripted = LoadScriptedModel(absl::StrCat(REFLUX_CHECKPOINT_DATA, "/scripted.pt"));
  ASSERT_TRUE(scripted.ok()) << scripted.status();
  const ModelCheckpoint checkpoint = AsModelCheckpoint(*scripted);
  EXPECT_EQ(checkpoint.info.options.num_classes, 3);
  EXPECT_EQ(checkpoint.info.options.output_stride, 2);
  EXPECT_FALSE(checkpoint.info.options.aux);
  EXPECT_TRUE(checkpoint.info.preprocessing.bgr);
  // Its weights alone go back into the same program, and into no other.
  const std::string weights = folder_ + "/weights.safetensors";
  ASSERT_TRUE(SaveModelCheckpoint(weights, *checkpoint.model, checkpoint.info).ok());
  EXPECT_TRUE(LoadModelWeights(weights, *checkpoint.model).ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(LoadModelWeights(weights, *Load(Save("return logits")))));
}

TEST_F(ScriptedModelTest, NetworksWithoutLogitsAreRefused) {
  const auto why = [&](const std::string& result) {
    const absl::Status status = LoadScriptedModel(Save(result)).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    return std::string(status.message());
  };
  EXPECT_THAT(why("return {'c1': map}"), HasSubstr("gives no logits"));
  EXPECT_THAT(why("return map.sum()"), HasSubstr("gives no logits"));
  EXPECT_THAT(why("return torch.adaptive_avg_pool2d(logits, [8, 8])"),
              HasSubstr("does not follow the image's size"));
  EXPECT_THAT(why("return logits + torch.ones([7])"), HasSubstr("TorchScript"));
}

TEST_F(ScriptedModelTest, CutAndDamagedFilesAreErrors) {
  const std::string path = Save("return logits");
  const std::string whole = ReadFile(path, 1 << 24).value();
  const auto load = [&](const std::string& bytes) {
    const std::string broken = folder_ + "/broken.pt";
    EXPECT_TRUE(WriteFileAtomically(broken, bytes).ok());
    return LoadScriptedModel(broken).status();
  };
  for (size_t bytes = 0; bytes < whole.size(); bytes += 97) {
    EXPECT_FALSE(load(whole.substr(0, bytes)).ok()) << bytes;
  }
  // A weight: its bytes are stored, so their checksum tells.
  const float weight = -1;
  const size_t at = whole.find(std::string(reinterpret_cast<const char*>(&weight), 4));
  ASSERT_NE(at, std::string::npos);
  std::string flipped = whole;
  flipped[at] ^= 1;
  EXPECT_TRUE(absl::IsDataLoss(load(flipped))) << load(flipped);
  EXPECT_TRUE(absl::IsDataLoss(load("no zip file")));
  EXPECT_TRUE(absl::IsNotFound(LoadScriptedModel(folder_ + "/nothing.pt").status()));
  const auto state_dict = LoadScriptedModel(absl::StrCat(REFLUX_CHECKPOINT_DATA, "/zip.pth"));
  EXPECT_THAT(std::string(state_dict.status().message()), HasSubstr("not a TorchScript module"));
}

}  // namespace
}  // namespace reflux
