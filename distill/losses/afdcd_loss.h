// Af-DCD: augmentation-free dense contrastive distillation (NeurIPS 2023): the student's map is
// masked, projected into the teacher's space, and there both mimics and is contrasted with it.
#pragma once

#include <torch/nn/modules/conv.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "distill/losses/afdcd_projector.h"
#include "distill/losses/dense_contrast.h"
#include "distill/losses/loss.h"

namespace reflux {

struct AfdcdOptions {
  enum class Mask {
    kRandom,  // every position is hidden with probability mask_ratio, anew each step
    kCentre,  // rows [h/3, 2h/3) of columns [w/3, 2w/3) are hidden; mask_ratio is not used
  };

  std::string tap = "c4";
  Mask mask = Mask::kRandom;
  double mask_ratio = 0.75;
  DenseContrastOptions contrast;
  AfdcdProjectorKind projector = AfdcdProjectorKind::kPlain;
  double feature_weight = 2e-6, contrast_weight = 0.005;  // published for Cityscapes
  // Channels of the tap on both sides. When they differ a 1x1 convolution `align` comes first.
  int64_t student_channels = 0, teacher_channels = 0;
  uint64_t seed = 0;  // of the parameters and of the random mask
  // The teacher sends its map max-pooled (reduction max_pool:pool) and nothing else: the same loss
  // to the bit where the mimicking, which needs the whole map, has no weight (feature_weight 0),
  // and the student's map has the size of the teacher's. The codec must keep the order of numbers,
  // as fp32, fp16 and bf16 do.
  bool reduced = false;

  absl::Status Validate() const;
};

absl::StatusOr<AfdcdOptions::Mask> ParseAfdcdMask(absl::string_view name);  // random, centre

// 0 where uniform > 1 - ratio, 1 elsewhere; in the type of `uniform`, any shape.
torch::Tensor ThresholdMask(const torch::Tensor& uniform, double ratio);
// [images,1,height,width] in double, the centre block 0, elsewhere 1.
torch::Tensor CentreMask(int64_t images, int64_t height, int64_t width);

// 1/N sum over images of feature_weight ||P - T||^2 + contrast_weight contrast(P, T) with
// P = projector(mask * align(S)): sums, not means, as published, hence such weights. Additive. A
// student's map of another size is resized to the teacher's. The random mask is a function of
// (seed, inputs.step, position in the global batch, pixel): no random state is kept.
class AfdcdLoss : public Loss {
 public:
  explicit AfdcdLoss(const AfdcdOptions& options);
  LossStatistics Local(const LossInputs& inputs) override;
  torch::Tensor Finish(const LossStatistics& global) override;
  bool additive() const override { return true; }
  std::vector<std::string> student_taps() const override { return {options_.tap}; }
  std::vector<std::string> teacher_taps() const override;

  // "feature" (not when reduced), "contrast": means over images, before their weights.
  std::map<std::string, double> Parts(const LossStatistics& global) override;

  // Sums over images, before their weights; `projected` is P. `mask` [N,1,h,w].
  struct Summands {
    torch::Tensor projected, feature, contrast;
  };
  Summands PartsOf(const torch::Tensor& student, const torch::Tensor& teacher,
                   const torch::Tensor& mask);
  // [N,1,h,w] for the teacher's map of `inputs` (when reduced, the student's), in its type and on
  // its device.
  torch::Tensor MaskFor(const LossInputs& inputs) const;

 private:
  LossStatistics LocalFromPooled(const LossInputs& inputs);
  torch::Tensor Project(const torch::Tensor& student, const torch::Tensor& mask);

  const AfdcdOptions options_;
  torch::nn::Conv2d align_{nullptr};
  std::shared_ptr<AfdcdProjector> projector_;
};

}  // namespace reflux
