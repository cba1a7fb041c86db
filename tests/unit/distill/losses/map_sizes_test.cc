// A student's maps of another size than the teacher's.
#include <gtest/gtest.h>
#include <torch/nn/functional.h>

#include "tests/unit/distill/losses/scratch_losses.h"

namespace reflux {
namespace {

namespace F = torch::nn::functional;
using torch::Tensor;

// Each side of i2ckd takes the labels at its own size, so nothing is resized.
bool ResizesMaps(const NamedLoss& named) {
  return !named.make()->teacher_taps().empty() && named.name.rfind("i2ckd", 0) != 0;
}

// As the losses state it: bilinear, with aligned corners.
Tensor Resized(const Tensor& map, int64_t height, int64_t width) {
  return F::interpolate(map, F::InterpolateFuncOptions()
                                 .size(std::vector<int64_t>{height, width})
                                 .mode(torch::kBilinear)
                                 .align_corners(true));
}

LossInputs WithStudentMaps(const LossInputs& inputs, const std::function<Tensor(Tensor)>& change) {
  LossInputs changed = inputs;
  for (auto& [tap, map] : changed.student) map = change(map);
  return changed;
}

TEST(MapSizesTest, TheStudentsMapsAreResizedToTheTeachers) {
  const LossInputs inputs = RandomInputs(2);  // maps of 5x6
  for (const auto& [height, width] : {std::pair(10, 12), {3, 4}}) {
    const LossInputs other = WithStudentMaps(inputs, [&, h = height, w = width](const Tensor& map) {
      return RandomMap(map.size(0), map.size(1), h, w);
    });
    const LossInputs beforehand =
        WithStudentMaps(other, [](const Tensor& map) { return Resized(map, 5, 6); });
    for (const NamedLoss& named : AllLosses()) {
      if (!ResizesMaps(named)) continue;
      const double value = ValueOf(*named.make(), other).item<double>();
      EXPECT_TRUE(std::isfinite(value)) << named.name;
      EXPECT_NEAR(value, ValueOf(*named.make(), beforehand).item<double>(), 1e-10) << named.name;
    }
  }
}

// Labels of whole blocks of 2x2: a map that repeats each position has the same class means.
TEST(MapSizesTest, PrototypesAreTakenAtTheStudentsOwnSize) {
  const auto doubled = [](const Tensor& map) {
    return map.repeat_interleave(2, -2).repeat_interleave(2, -1);
  };
  LossInputs inputs = RandomInputs(2);
  inputs.labels = doubled(torch::randint(0, kClasses, {2, 5, 6}, torch::kInt64));
  const LossInputs twice = WithStudentMaps(inputs, doubled);
  int checked = 0;
  for (const NamedLoss& named : AllLosses()) {
    if (named.name.rfind("i2ckd", 0) != 0) continue;
    const double value = ValueOf(*named.make(), inputs).item<double>();
    EXPECT_GT(value, 0) << named.name;
    EXPECT_NEAR(ValueOf(*named.make(), twice).item<double>(), value, 1e-10) << named.name;
    ++checked;
  }
  EXPECT_GT(checked, 0);
}

}  // namespace
}  // namespace reflux
