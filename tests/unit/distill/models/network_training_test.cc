// Networks in training: taps on demand, ranks, autocast.
#include <ATen/autocast_mode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "distill/models/build_model.h"
#include "distill/models/counter_dropout.h"
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

TEST(NetworkTest, UnknownTapListsThoseThatExist) {
  const auto model = SmallResNet18();
  model->eval();
  try {
    model->Forward(torch::rand({1, 3, 16, 16}), {"c5"});
    FAIL() << "no error";
  } catch (const c10::Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("c1, c2, c3, c4, aspp, logits, aux"));
  }
}

TEST(NetworkTest, AuxiliaryOutputInTrainingOrOnDemand) {
  const auto model = SmallResNet18();
  const Tensor images = torch::rand({2, 3, 16, 16});
  SetDropoutContext(*model, {});
  EXPECT_EQ(model->Forward(images, {}).count("aux"), 1u);
  model->eval();
  EXPECT_EQ(model->Forward(images, {}).count("aux"), 0u);
  EXPECT_EQ(model->Forward(images, {"aux"}).count("aux"), 1u);
}

// One training pass of the whole network in double: two ranks with uneven shares against one.
struct Pass {
  Tensor logits;
  std::vector<Tensor> gradients;
};

Pass TrainingPass(SegmentationModel& model, const Tensor& images, uint64_t first, double scale) {
  SetDropoutContext(model, {5, 9, first});
  const TapOutputs outputs = model.Forward(images, {"logits"});
  Tensor loss = outputs.at("logits").square().sum();
  if (outputs.count("aux") > 0) loss = loss + 0.4 * outputs.at("aux").square().sum();
  (loss * scale).backward();
  Pass pass{outputs.at("logits").detach(), {}};
  for (const auto& parameter : model.parameters()) pass.gradients.push_back(parameter.grad());
  return pass;
}

// A fresh block is its shortcut and gives its branch no gradient: opens the branches.
void OpenBranches(torch::nn::Module& model) {
  const torch::NoGradGuard no_gradients;
  for (const Tensor& parameter : model.parameters()) {
    if (parameter.dim() == 1 && parameter.abs().max().item<double>() == 0) parameter.fill_(0.5);
  }
}

class RanksTest : public testing::TestWithParam<std::string> {};

TEST_P(RanksTest, TwoRanksTrainAsOne) {
  std::vector<std::shared_ptr<SegmentationModel>> models;
  for (int i = 0; i < 3; ++i) {
    models.push_back(Build({.architecture = GetParam(), .num_classes = 3, .aspp_width = 8}));
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
  // EfficientDet has biases before norms, whose gradients are zero but for rounding, and levels of
  // the pyramid that its segmentation does not use.
  const bool efficientdet = GetParam() == "efficientdet_b0_seg";
  const double floor = efficientdet ? 1e-10 : 1e-12;
  for (size_t i = 0; i < whole.gradients.size(); ++i) {
    const Tensor& reference = whole.gradients[i];
    if (efficientdet && !reference.defined()) {
      EXPECT_FALSE(passes[0].gradients[i].defined() || passes[1].gradients[i].defined());
      continue;
    }
    const Tensor mean = (passes[0].gradients[i] + passes[1].gradients[i]) / 2;
    EXPECT_LE((mean - reference).abs().max().item<double>(),
              1e-9 * reference.abs().max().item<double>() + floor)
        << models[0]->named_parameters().keys()[i];
  }
}

INSTANTIATE_TEST_SUITE_P(OneOfEachPart, RanksTest,
                         testing::Values("deeplabv3_resnet18", "psp_mobilenetv2",
                                         "deeplabv3plus_mobilenetv2", "efficientdet_b0_seg",
                                         "mmseg_deeplabv3_resnet18", "mmseg_psp_resnet18",
                                         "torchvision_deeplabv3_mobilenet_v3_large"),
                         [](const auto& info) { return info.param; });

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
TEST(NetworkTest, TrainsUnderBFloat16Autocast) {
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
