// What the set of terms does besides adding up (that ranks agree: loss_ranks_test).
#include "distill/losses/loss_set.h"

#include <gtest/gtest.h>

#include "tests/unit/distill/losses/scratch_losses.h"

namespace reflux {
namespace {

using torch::Tensor;

// The gradients of the parameters of term `name`, end to end.
Tensor Gradients(LossSet& set, const std::string& name) {
  std::vector<Tensor> parts;
  for (const auto& item : set.named_parameters()) {
    if (item.key().rfind(name + ".", 0) == 0) parts.push_back(item.value().grad().flatten());
  }
  return torch::cat(parts);
}

TEST(LossSetTest, GradientsAreClippedTermByTerm) {
  const std::shared_ptr<Loss> afdcd =
      MakeAfdcd(DenseContrastOptions::Negatives::kOmni, AfdcdOptions::Mask::kCentre,
                AfdcdProjectorKind::kPlain);
  const std::shared_ptr<Loss> i2ckd = MakeI2ckd({.margin = 10}, I2ckdOptions::Mean::kBatch);
  constexpr double kClip = 1e-3;
  LossSet set({{.name = "afdcd", .loss = afdcd, .clip = kClip}, {.name = "i2ckd", .loss = i2ckd}});
  SingleProcessCollectives alone;
  set.Compute(RandomInputs(2), 0, 1, alone, false).total.backward();
  const Tensor before = Gradients(set, "afdcd"), free = Gradients(set, "i2ckd");
  ASSERT_GT(before.norm().item<double>(), kClip);
  set.ClipGradients();
  const Tensor after = Gradients(set, "afdcd");
  EXPECT_NEAR(after.norm().item<double>(), kClip, 1e-6);
  EXPECT_TRUE(after.allclose(before * (kClip / before.norm()), 1e-3));
  EXPECT_TRUE(Gradients(set, "i2ckd").equal(free));
  set.ClipGradients();
  EXPECT_TRUE(Gradients(set, "afdcd").allclose(after, 2e-3)) << "what is small enough stays";
}

}  // namespace
}  // namespace reflux
