// The angle between student and teacher: the mean over images and positions of (1 - cos)^power,
// cos between the channels' vectors at a position. An example of a loss of one's own.
#include <cmath>

#include "distill/losses/own_loss.h"

namespace reflux::own::feature_cosine {
namespace {

class FeatureCosine : public TapLoss {
 public:
  FeatureCosine(const TapLossOptions& tap, double power)
      : TapLoss(tap, /*same_width=*/true), power_(power) {}

 private:
  torch::Tensor SumOverImages(const torch::Tensor& student, const torch::Tensor& teacher,
                              const LossInputs&) override {
    const torch::Tensor cosine = (UnitVectors(student, 1) * UnitVectors(teacher, 1)).sum(1);
    const torch::Tensor distance = (1 - cosine).clamp_min(1e-12);  // the power's slope at 0
    return distance.pow(power_).mean({1, 2}).sum();
  }
  const double power_;
};

}  // namespace

OwnLoss Describe() {
  return {.doc = "Cosine distance of the features at each position.",
          .options = {{"power", 1, 0.5, 8, "Power of the distance."}},
          .make = [](const OwnLossInput& input) {
            return std::make_shared<FeatureCosine>(input.tap, input.options.at("power"));
          }};
}

}  // namespace reflux::own::feature_cosine
