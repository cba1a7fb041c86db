#include "distill/losses/afdcd_loss.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/choose.h"
#include "common/base/counter_random.h"
#include "common/base/status_macros.h"
#include "common/targets/target.h"
#include "distill/losses/cross_entropy_loss.h"
#include "distill/models/build_model.h"

namespace reflux {
namespace {

using torch::Tensor;

// [images,1,height,width] of [0, 1), in double, image i at global position `first` + i.
Tensor UniformAt(uint64_t seed, uint64_t step, uint64_t first, torch::IntArrayRef shape) {
  const CounterRandom random(seed, "afdcd.mask");
  const Tensor uniform = torch::empty({shape[0], 1, shape[2], shape[3]}, torch::kFloat64);
  auto* value = uniform.data_ptr<double>();
  const int64_t pixels = shape[2] * shape[3];
  for (int64_t image = 0; image < shape[0]; ++image) {
    for (int64_t pixel = 0; pixel < pixels; ++pixel) {
      *value++ = random.Uniform(step, (first + image) << 32 | static_cast<uint64_t>(pixel));
    }
  }
  return uniform;
}

}  // namespace

absl::Status AfdcdOptions::Validate() const {
  const auto bad = [](auto... parts) {
    return absl::InvalidArgumentError(absl::StrCat("losses.afdcd.", parts...));
  };
  REFLUX_RETURN_IF_ERROR(contrast.Validate());
  if (!(mask_ratio >= 0 && mask_ratio < 1)) {
    return bad("mask_ratio: ", mask_ratio, " is not in [0, 1)");
  }
  if (!(feature_weight >= 0)) return bad("feature_weight: ", feature_weight, " is negative");
  if (!(contrast_weight >= 0)) return bad("contrast_weight: ", contrast_weight, " is negative");
  if (student_channels < 1 || teacher_channels < 1) return bad("tap: '", tap, "' has no channels");
  if (teacher_channels % contrast.groups != 0) {
    return bad("groups: ", contrast.groups, " does not divide the ", teacher_channels,
               " channels of the teacher's ", tap);
  }
  if (reduced && (feature_weight > 0 || !Poolable(contrast))) {
    return bad(
        "feature_weight, pool: a teacher that pools its map needs feature_weight 0 and a pool "
        "of 2 to ",
        kMaxPoolWindow, " that fits into the crop");
  }
  return absl::OkStatus();
}

absl::StatusOr<AfdcdOptions::Mask> ParseAfdcdMask(absl::string_view name) {
  using Mask = AfdcdOptions::Mask;
  return Choose<Mask>("losses.afdcd.mask", name,
                      {{"random", Mask::kRandom}, {"centre", Mask::kCentre}});
}

Tensor ThresholdMask(const Tensor& uniform, double ratio) {
  return uniform.le(1 - ratio).to(uniform.dtype());
}

Tensor CentreMask(int64_t images, int64_t height, int64_t width) {
  Tensor mask = torch::ones({images, 1, height, width}, torch::kFloat64);
  mask.slice(2, height / 3, 2 * height / 3).slice(3, width / 3, 2 * width / 3).zero_();
  return mask;
}

AfdcdLoss::AfdcdLoss(const AfdcdOptions& options) : options_(options) {
  if (options.student_channels != options.teacher_channels) {
    align_ = register_module("align", torch::nn::Conv2d(torch::nn::Conv2dOptions(
                                          options.student_channels, options.teacher_channels, 1)));
  }
  // Spelled as published, so that its weights load.
  projector_ =
      register_module("projetor", MakeAfdcdProjector(options.projector, options.teacher_channels));
  InitializeWeights(*this, options.seed);
}

Tensor AfdcdLoss::MaskFor(const LossInputs& inputs) const {
  const Tensor& map = options_.reduced ? RequireMap(inputs.student, options_.tap, "student")
                                       : RequireMap(inputs.teacher, options_.tap, "teacher");
  const Tensor mask =
      options_.mask == AfdcdOptions::Mask::kCentre
          ? CentreMask(map.size(0), map.size(2), map.size(3))
          : ThresholdMask(UniformAt(options_.seed, inputs.step, inputs.first_position, map.sizes()),
                          options_.mask_ratio);
  return mask.to(map.options());
}

Tensor AfdcdLoss::Project(const Tensor& student, const Tensor& mask) {
  const Tensor aligned = align_.is_empty() ? student : align_->forward(student);
  return projector_->forward(aligned * mask);
}

AfdcdLoss::Summands AfdcdLoss::PartsOf(const Tensor& student, const Tensor& teacher,
                                       const Tensor& mask) {
  Summands parts{.projected = Project(student, mask)};
  parts.feature = SquaredDistance(parts.projected, teacher);
  parts.contrast = DenseContrastSum(parts.projected, teacher, options_.contrast);
  return parts;
}

std::vector<std::string> AfdcdLoss::teacher_taps() const {
  if (!options_.reduced) return {options_.tap};
  return {TargetName(options_.tap, MaxPool(static_cast<int32_t>(options_.contrast.pool)))};
}

LossStatistics AfdcdLoss::LocalFromPooled(const LossInputs& inputs) {
  const Tensor teacher = RequireMap(inputs.teacher, teacher_taps()[0], "teacher").detach();
  const Tensor projected =
      Project(RequireMap(inputs.student, options_.tap, "student"), MaskFor(inputs));
  const Tensor contrast =
      ContrastedSum(ContrastMap(projected, options_.contrast),
                    ContrastMapOfPooled(teacher, options_.contrast), options_.contrast);
  return {(options_.contrast_weight * contrast).reshape({1}),
          torch::cat({CountOf(teacher.size(0)),
                      contrast.detach().reshape({1}).to(torch::kCPU, torch::kFloat64)})};
}

LossStatistics AfdcdLoss::Local(const LossInputs& inputs) {
  if (options_.reduced) return LocalFromPooled(inputs);
  const Tensor teacher = RequireMap(inputs.teacher, options_.tap, "teacher").detach();
  const Tensor student = ResizeLike(RequireMap(inputs.student, options_.tap, "student"), teacher);
  const Summands parts = PartsOf(student, teacher, MaskFor(inputs));
  const Tensor sum =
      options_.feature_weight * parts.feature + options_.contrast_weight * parts.contrast;
  return {sum.reshape({1}),
          torch::cat({CountOf(teacher.size(0)), torch::stack({parts.feature, parts.contrast})
                                                    .detach()
                                                    .to(torch::kCPU, torch::kFloat64)})};
}

std::map<std::string, double> AfdcdLoss::Parts(const LossStatistics& global) {
  const double images = std::max(global.counts[0].item<double>(), 1.0);
  if (options_.reduced) return {{"contrast", global.counts[1].item<double>() / images}};
  return {{"feature", global.counts[1].item<double>() / images},
          {"contrast", global.counts[2].item<double>() / images}};
}

Tensor AfdcdLoss::Finish(const LossStatistics& global) { return FinishAdditive(global); }

}  // namespace reflux
