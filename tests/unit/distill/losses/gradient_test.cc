// Gradients of every loss, with respect to its maps and its parameters, against central differences
// in double.
#include <gtest/gtest.h>

#include "tests/unit/distill/losses/scratch_losses.h"

namespace reflux {
namespace {

using torch::Tensor;

// The largest deviation over every `stride`-th entry of `leaf`.
double WorstDeviation(const std::function<Tensor()>& value, Tensor leaf, int64_t stride) {
  const Tensor gradient = torch::autograd::grad({value()}, {leaf})[0].flatten();
  torch::NoGradGuard no_grad;
  Tensor flat = leaf.view(-1);
  constexpr double kStep = 1e-6;
  double worst = 0;
  for (int64_t i = 0; i < flat.numel(); i += stride) {
    const double before = flat[i].item<double>();
    flat[i] = before + kStep;
    const double above = value().item<double>();
    flat[i] = before - kStep;
    const double below = value().item<double>();
    flat[i] = before;
    const double numeric = (above - below) / (2 * kStep);
    worst = std::max(worst, std::abs(numeric - gradient[i].item<double>()));
  }
  return worst;
}

TEST(LossGradientTest, AgreesWithCentralDifferences) {
  for (const NamedLoss& named : AllLosses()) {
    SCOPED_TRACE(named.name);
    const auto loss = named.make();
    LossInputs inputs = RandomInputs(2);
    const auto value = [&] { return ValueOf(*loss, inputs); };
    for (const std::string& tap : loss->student_taps()) {
      inputs.student[tap].requires_grad_();
      EXPECT_GT(torch::autograd::grad({value()}, {inputs.student[tap]})[0].norm().item<double>(),
                1e-8);
      EXPECT_LT(WorstDeviation(value, inputs.student[tap], 7), 1e-7) << tap;
    }
    for (const auto& item : loss->named_parameters()) {
      const int64_t stride = item.value().numel() > 100 ? 23 : 2;
      EXPECT_LT(WorstDeviation(value, item.value(), stride), 1e-7) << item.key();
    }
  }
}

// The teacher is a constant, even where its maps could carry a gradient.
TEST(LossGradientTest, StopsAtTheTeacher) {
  for (const NamedLoss& named : AllLosses()) {
    const auto loss = named.make();
    LossInputs inputs = RandomInputs(2);
    for (auto& [tap, map] : inputs.student) map.requires_grad_();
    for (auto& [tap, map] : inputs.teacher) map.requires_grad_();
    ValueOf(*loss, inputs).backward();
    for (const auto& [tap, map] : inputs.teacher) {
      EXPECT_FALSE(map.grad().defined()) << named.name << " " << tap;
    }
  }
}

}  // namespace
}  // namespace reflux
