// Every loss on the GPU: its value and gradients are those of the CPU, in double, through the set
// of terms that mixes counts on the CPU with sums on the GPU.
#include "distill/losses/frskd_classifier_loss.h"
#include "distill/losses/frskd_loss.h"
#include "distill/losses/label_rotation.h"
#include "distill/losses/loss_set.h"
#include "distill/models/placement.h"
#include "tests/gpu/on_gpu.h"
#include "tests/unit/distill/losses/scratch_losses.h"

namespace reflux {
namespace {

using torch::Tensor;

constexpr double kTolerance = 1e-9;
constexpr double kSinglePrecision = 1e-3;

class LossesOnGpu : public OnGpu {};

using Maps = std::map<std::string, Tensor>;

// On `device`, the student's maps as leaves.
LossInputs Placed(LossInputs inputs, const torch::Device& device, torch::Dtype type) {
  for (Maps* maps : {&inputs.student, &inputs.rotated, &inputs.teacher}) {
    for (auto& [tap, map] : *maps) {
      map = map.detach().to(device, type);
      if (maps != &inputs.teacher) map.requires_grad_();
    }
  }
  for (Tensor* labels : {&inputs.labels, &inputs.mixed_labels, &inputs.padding}) {
    if (labels->defined()) *labels = labels->to(device);
  }
  return inputs;
}

// The loss, its parts, and the gradients of the student's maps and the loss's parameters.
Maps Computed(const NamedLoss& named, const LossInputs& from, const torch::Device& device,
              torch::Dtype type) {
  const auto loss = named.make();
  const bool training = loss->is_training();
  LossSet set({{.name = "loss", .loss = loss}});
  loss->train(training);
  PlaceModule(set, device, type, /*channels_last=*/false);
  const LossInputs inputs = Placed(from, device, type);
  SingleProcessCollectives alone;
  const LossResult result = set.Compute(inputs, 0, 10, alone, false);
  result.total.backward();
  Maps values = {{"total", result.total}};
  for (const auto& [name, value] : result.values)
    values["value " + name] = torch::tensor(value, torch::kFloat64);
  for (const Maps* maps : {&inputs.student, &inputs.rotated}) {
    for (const auto& [tap, map] : *maps) {
      if (map.grad().defined()) values["gradient of " + tap] = map.grad();
    }
  }
  for (const auto& item : set.named_parameters()) {
    if (item.value().grad().defined()) values["gradient of " + item.key()] = item.value().grad();
  }
  return values;
}

void ExpectAsOnCpu(const NamedLoss& named, const LossInputs& inputs, const torch::Device& device) {
  SCOPED_TRACE(named.name);
  try {
    const Maps here = Computed(named, inputs, torch::kCPU, torch::kFloat64);
    const Maps there = Computed(named, inputs, device, torch::kFloat64);
    const Maps single = Computed(named, inputs, device, torch::kFloat32);
    ASSERT_EQ(here.size(), there.size());
    for (const auto& [name, value] : here) {
      EXPECT_LT(Difference(there.at(name), value), kTolerance) << name;
      EXPECT_LT(Difference(single.at(name), value, 1e-2), kSinglePrecision) << name;
    }
  } catch (const std::exception& error) {
    ADD_FAILURE() << error.what();
  }
}

TEST_F(LossesOnGpu, OfSegmentation) {
  for (const NamedLoss& named : AllLosses()) ExpectAsOnCpu(named, RandomInputs(2), device_);
}

TEST_F(LossesOnGpu, BesidePadding) {
  LossInputs inputs = RandomInputs(2);
  inputs.padding = torch::zeros({2, 11, 13}, torch::kBool);
  inputs.padding.slice(1, 8).fill_(true);
  for (const NamedLoss& named : FeatureLosses()) ExpectAsOnCpu(named, inputs, device_);
}

TEST_F(LossesOnGpu, OfSelfDistillation) {
  for (const FrskdFeatures features :
       {FrskdFeatures::kAttention, FrskdFeatures::kFitNet, FrskdFeatures::kOverhaul}) {
    FrskdOptions options;
    options.taps = {"c1", "c2"};
    options.features = features;
    options.self_teacher = {
        .channels = {3, 4}, .num_classes = kClasses, .width = 3, .head_width = 4};
    LossInputs inputs = RandomInputs(2);
    inputs.student["c1"] = RandomMap(2, 3, 8, 8), inputs.student["c2"] = RandomMap(2, 4, 4, 4);
    ExpectAsOnCpu(InDouble<FrskdLoss>("frskd", options), inputs, device_);
  }
}

TEST_F(LossesOnGpu, OfClassifiers) {
  LossInputs inputs = RandomImageInputs(3, /*rotated=*/true);
  inputs.mixed_labels = inputs.labels.flip(0), inputs.label_share = 0.7;
  for (const bool sla : {false, true}) {
    FrskdClassifierOptions options{.temperature = 2, .sla = sla, .seed = 7};
    options.self_teacher = {.channels = {3, 4}, .num_classes = kClasses, .width = 2};
    ExpectAsOnCpu(InDouble<FrskdClassifierLoss>("frskd_classifier", options), inputs, device_);
  }
  const SlaOptions options{.tap = "c2", .channels = 4, .num_classes = kClasses, .seed = 5};
  ExpectAsOnCpu(InDouble<SlaLoss>("sla", options), inputs, device_);
}

}  // namespace
}  // namespace reflux
