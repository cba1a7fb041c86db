#include "distill/models/deeplabv3.h"

#include <ATen/autocast_mode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "distill/models/build_model.h"
#include "tests/unit/distill/models/thread_ranks.h"

namespace reflux {
namespace {

using testing::HasSubstr;
using torch::Tensor;

std::shared_ptr<SegmentationModel> Build(const ModelOptions& options) {
  auto model = BuildModel(options);
  EXPECT_TRUE(model.ok()) << model.status();
  return *model;
}

std::shared_ptr<SegmentationModel> SmallResNet18(int64_t output_stride = 8) {
  return Build({.num_classes = 3, .output_stride = output_stride, .aspp_width = 8});
}

class ParameterNamesTest : public testing::TestWithParam<std::string> {};

TEST_P(ParameterNamesTest, AreTheReferences) {
  const auto model = Build({.architecture = GetParam(), .num_classes = 19});
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
      absl::StrCat(REFLUX_SOURCE_DIR "/tests/golden/data/keys_afdcd_", GetParam(), ".txt"));
  for (std::string line; std::getline(in, line);) {
    if (line[0] != '#') theirs.insert(line);
  }
  EXPECT_EQ(ours, theirs);
}

INSTANTIATE_TEST_SUITE_P(Architectures, ParameterNamesTest,
                         testing::ValuesIn(KnownArchitectures()));

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

TEST(DeepLabV3Test, TapsHaveTheAnnouncedShapes) {
  torch::NoGradGuard no_grad;
  for (const int64_t output_stride : {8, 16}) {
    const auto model = SmallResNet18(output_stride);
    model->eval();
    std::vector<std::string> names;
    for (const auto& tap : model->taps()) names.push_back(tap.name);
    const TapOutputs outputs = model->Forward(torch::rand({1, 3, 64, 96}), names);
    ASSERT_EQ(outputs.size(), names.size());
    for (const auto& tap : model->taps()) {
      EXPECT_EQ(outputs.at(tap.name).sizes(),
                torch::IntArrayRef({1, tap.channels, 64 / tap.stride, 96 / tap.stride}))
          << tap.name << " at output stride " << output_stride;
    }
  }
}

TEST(DeepLabV3Test, UnknownTapListsThoseThatExist) {
  const auto model = SmallResNet18();
  model->eval();
  try {
    model->Forward(torch::rand({1, 3, 16, 16}), {"c5"});
    FAIL() << "no error";
  } catch (const c10::Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("c1, c2, c3, c4, aspp, logits, aux"));
  }
}

TEST(DeepLabV3Test, AuxiliaryOutputInTrainingOrOnDemand) {
  const auto model = SmallResNet18();
  const Tensor images = torch::rand({2, 3, 16, 16});
  SetDropoutContext(*model, {});
  EXPECT_EQ(model->Forward(images, {}).count("aux"), 1u);
  model->eval();
  EXPECT_EQ(model->Forward(images, {}).count("aux"), 0u);
  EXPECT_EQ(model->Forward(images, {"aux"}).count("aux"), 1u);
}

TEST(InitializeWeightsTest, DependsOnSeedAndNameOnly) {
  const auto a = SmallResNet18(8), b = SmallResNet18(16);
  InitializeWeights(*a, 3);
  InitializeWeights(*b, 3);
  const auto of_b = b->named_parameters();
  for (const auto& item : a->named_parameters()) {
    EXPECT_TRUE(torch::equal(item.value(), of_b[item.key()])) << item.key();
  }
  const Tensor weight = a->named_parameters()["pretrained.layer4.1.conv2.weight"].detach();
  EXPECT_NEAR(weight.std().item<double>(), std::sqrt(2.0 / (512 * 9)), 1e-4);
  EXPECT_NEAR(weight.mean().item<double>(), 0, 1e-4);
  EXPECT_EQ(a->named_parameters()["pretrained.layer4.1.bn2.weight"].abs().max().item<double>(), 0);
  EXPECT_EQ(a->named_parameters()["pretrained.layer4.1.bn1.weight"].min().item<double>(), 1);
  EXPECT_EQ(a->named_parameters()["pretrained.bn2.weight"].min().item<double>(), 1);
  const Tensor head = a->named_parameters()["head.aspp.b1.block.0.weight"].detach();
  EXPECT_LE(head.abs().max().item<double>(), 1 / std::sqrt(512.0 * 9));
  EXPECT_NEAR(head.std().item<double>(), 1 / std::sqrt(3 * 512.0 * 9), 1e-3);
  InitializeWeights(*b, 4);
  EXPECT_FALSE(torch::equal(weight, of_b["pretrained.layer4.1.conv2.weight"]));
}

// One training pass of the whole network in double: two ranks with uneven shares against one.
struct Pass {
  Tensor logits;
  std::vector<Tensor> gradients;
};

Pass TrainingPass(SegmentationModel& model, const Tensor& images, uint64_t first, double scale) {
  SetDropoutContext(model, {5, 9, first});
  const TapOutputs outputs = model.Forward(images, {"logits"});
  ((outputs.at("logits").square().sum() + 0.4 * outputs.at("aux").square().sum()) * scale)
      .backward();
  Pass pass{outputs.at("logits").detach(), {}};
  for (const auto& parameter : model.parameters()) pass.gradients.push_back(parameter.grad());
  return pass;
}

// A fresh block is its shortcut and gives its branch no gradient: opens the branches.
void OpenBranches(torch::nn::Module& model) {
  const torch::NoGradGuard no_gradients;
  for (const auto& item : model.named_parameters()) {
    if (absl::EndsWith(item.key(), ".bn2.weight")) item.value().fill_(0.5);
  }
}

TEST(DeepLabV3Test, TwoRanksTrainAsOne) {
  std::vector<std::shared_ptr<SegmentationModel>> models;
  for (int i = 0; i < 3; ++i) {
    models.push_back(SmallResNet18());
    InitializeWeights(*models.back(), 1);
    OpenBranches(*models.back());
    models.back()->to(torch::kFloat64);
  }
  const Tensor images =
      torch::sin(torch::arange(3 * 3 * 33 * 33, torch::kFloat64) * 0.37).reshape({3, 3, 33, 33});
  const Pass whole = TrainingPass(*models[2], images, 40, 1);
  std::vector<Pass> passes(2);
  ThreadRanks(2).Run([&](int rank, const std::shared_ptr<BatchNormSync>& sync) {
    SetBatchNormSync(*models[rank], sync);
    passes[rank] =
        TrainingPass(*models[rank], images.slice(0, rank, rank == 0 ? 1 : 3), 40 + rank, 2);
  });
  const Tensor logits = torch::cat({passes[0].logits, passes[1].logits});
  EXPECT_TRUE(torch::allclose(logits, whole.logits, 1e-9, 1e-10));
  for (size_t i = 0; i < whole.gradients.size(); ++i) {
    const Tensor mean = (passes[0].gradients[i] + passes[1].gradients[i]) / 2;
    const Tensor& reference = whole.gradients[i];
    EXPECT_LE((mean - reference).abs().max().item<double>(),
              1e-9 * reference.abs().max().item<double>() + 1e-12)
        << models[0]->named_parameters().keys()[i];
  }
}

class CpuAutocast {
 public:
  CpuAutocast() {
    at::autocast::set_autocast_dtype(at::kCPU, at::kBFloat16);
    at::autocast::set_autocast_enabled(at::kCPU, true);
  }
  ~CpuAutocast() {
    at::autocast::clear_cache();
    at::autocast::set_autocast_enabled(at::kCPU, false);
  }
};

// Weights, gradients and statistics stay float32; maps are bfloat16, with and without ranks.
TEST(DeepLabV3Test, TrainsUnderBFloat16Autocast) {
  const Tensor images =
      torch::sin(torch::arange(4 * 3 * 33 * 33, torch::kFloat32) * 0.37).reshape({4, 3, 33, 33});
  const auto train = [&](const std::shared_ptr<BatchNormSync>& sync, int64_t from, int64_t to) {
    const auto model = SmallResNet18();
    InitializeWeights(*model, 1);
    SetBatchNormSync(*model, sync);
    SetDropoutContext(*model, {5, 9, static_cast<uint64_t>(from)});
    const CpuAutocast autocast;
    const Tensor logits = model->Forward(images.slice(0, from, to), {}).at("logits");
    EXPECT_EQ(logits.scalar_type(), torch::kBFloat16);
    logits.to(torch::kFloat32).square().sum().backward();
    for (const auto& item : model->named_parameters()) {
      if (item.key().rfind("auxlayer", 0) == 0) continue;
      EXPECT_EQ(item.value().grad().scalar_type(), torch::kFloat32) << item.key();
      EXPECT_TRUE(item.value().grad().isfinite().all().item<bool>()) << item.key();
    }
    return std::make_pair(logits.detach().to(torch::kFloat32),
                          model->named_buffers()["pretrained.bn1.running_var"]);
  };
  const auto whole = train(nullptr, 0, 4);
  std::vector<std::pair<Tensor, Tensor>> halves(2);
  ThreadRanks(2).Run([&](int rank, const std::shared_ptr<BatchNormSync>& sync) {
    halves[rank] = train(sync, 2 * rank, 2 * rank + 2);
  });
  const Tensor logits = torch::cat({halves[0].first, halves[1].first});
  EXPECT_LE(((logits - whole.first).norm() / whole.first.norm()).item<double>(), 0.1);
  EXPECT_TRUE(torch::allclose(halves[0].second, whole.second, 1e-4));
}

}  // namespace
}  // namespace reflux
