#include "distill/data/mixing.h"

#include <algorithm>
#include <cmath>

#include "common/base/choose.h"

namespace reflux {
namespace {

// A stream of uniform numbers for one counter.
class Uniforms {
 public:
  Uniforms(const CounterRandom& random, uint64_t counter) : random_(random), counter_(counter) {}
  double Next() { return random_.Uniform(counter_, next_++); }
  double Normal() {  // Box and Muller; one of the two
    const double radius = std::sqrt(-2 * std::log1p(-Next()));
    return radius * std::cos(2 * M_PI * Next());
  }

 private:
  const CounterRandom& random_;
  const uint64_t counter_;
  uint64_t next_ = 0;
};

// The logarithm of a Gamma(shape, 1) number: for small shapes the number itself underflows.
double LogGamma(double shape, Uniforms& uniforms) {
  if (shape < 1) {
    const double boost = std::log1p(-uniforms.Next()) / shape;
    return LogGamma(shape + 1, uniforms) + boost;
  }
  const double d = shape - 1.0 / 3, c = 1 / std::sqrt(9 * d);
  while (true) {
    const double x = uniforms.Normal(), root = 1 + c * x;
    if (root <= 0) continue;
    const double v = root * root * root;
    if (std::log1p(-uniforms.Next()) < 0.5 * x * x + d - d * v + d * std::log(v))
      return std::log(d * v);
  }
}

void DrawBox(const CounterRandom& random, uint64_t step, int32_t height, int32_t width, Mix& mix) {
  const double side = std::sqrt(1 - mix.share);
  const auto cut_height = static_cast<int32_t>(height * side);
  const auto cut_width = static_cast<int32_t>(width * side);
  const auto y = static_cast<int32_t>(random.Below(height, step, 0));
  const auto x = static_cast<int32_t>(random.Below(width, step, 1));
  mix.top = std::clamp(y - cut_height / 2, 0, height);
  mix.bottom = std::clamp(y + cut_height / 2, 0, height);
  mix.left = std::clamp(x - cut_width / 2, 0, width);
  mix.right = std::clamp(x + cut_width / 2, 0, width);
  const double area = double{1} * (mix.bottom - mix.top) * (mix.right - mix.left);
  mix.share = 1 - area / (double{1} * height * width);
}

}  // namespace

absl::StatusOr<MixOptions::Kind> ParseMix(absl::string_view name) {
  using Kind = MixOptions::Kind;
  return Choose<Kind>("train.mix", name,
                      {{"none", Kind::kNone}, {"mixup", Kind::kMixup}, {"cutmix", Kind::kCutmix}});
}

double DrawBeta(const CounterRandom& random, double alpha, uint64_t counter) {
  Uniforms uniforms(random, counter);
  const double first = LogGamma(alpha, uniforms), second = LogGamma(alpha, uniforms);
  return 1 / (1 + std::exp(second - first));
}

Mix DrawMix(const MixOptions& options, uint64_t seed, int64_t step, int64_t batch, int32_t height,
            int32_t width) {
  Mix mix{.share = DrawBeta(CounterRandom(seed, "mix/share"), options.alpha, step),
          .partner = CounterRandom(seed, "mix/partner").Permutation(batch, step),
          .blend = options.kind == MixOptions::Kind::kMixup};
  if (!mix.blend) DrawBox(CounterRandom(seed, "mix/box"), step, height, width, mix);
  return mix;
}

}  // namespace reflux
