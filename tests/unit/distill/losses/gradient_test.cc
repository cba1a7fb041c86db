// Gradients of every loss, with respect to its maps and its parameters, against central differences
// in double.
#include <gtest/gtest.h>

#include "tests/unit/distill/losses/central_differences.h"
#include "tests/unit/distill/losses/scratch_losses.h"

namespace reflux {
namespace {

using torch::Tensor;

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
