// I2CKD: intra- and inter-class knowledge distillation by class prototypes (arXiv 2403.18490).
#pragma once

#include <torch/nn/modules/conv.h>

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "distill/losses/loss.h"
#include "distill/losses/prototypes.h"

namespace reflux {

struct I2ckdOptions {
  // What a prototype is taken over: the batch of all ranks; the mean of the images' prototypes; or
  // each image for itself, the loss then averaged over the images with at least two classes.
  enum class Mean { kBatch, kImageMean, kPerImage };

  int64_t num_classes = 0;
  std::string tap = "aspp";
  TripletOptions triplet;
  // Where a position's class is taken from: the labels, or the teacher's logits (then every
  // position has one, ignored or not).
  enum class Labels { kGroundTruth, kTeacher };
  Labels labels = Labels::kGroundTruth;
  Mean mean = Mean::kBatch;
  // Channels of the tap on both sides: when they differ, a 1x1 convolution `align` (a parameter of
  // the loss, drawn from `seed`) maps the student's to the teacher's.
  int64_t student_channels = 0, teacher_channels = 0;
  uint64_t seed = 0;
  // The teacher sends the class sums of its map (reduction.h) instead of the map: the same loss,
  // for each sum is rounded once more, to float32. With labels from the ground truth alone.
  bool reduced = false;

  absl::Status Validate() const;
};

// Names as in the job file; InvalidArgument lists those allowed.
absl::StatusOr<I2ckdOptions::Mean> ParsePrototypeMean(absl::string_view name);
absl::StatusOr<I2ckdOptions::Labels> ParsePrototypeLabels(absl::string_view name);
absl::StatusOr<PrototypeDistance> ParsePrototypeDistance(absl::string_view name);
absl::StatusOr<PrototypeNegatives> ParsePrototypeNegatives(absl::string_view name);
absl::StatusOr<PrototypeAnchor> ParsePrototypeAnchor(absl::string_view name);

// Statistics: for batch and image_mean the summed (image) prototypes and their counts, student's
// then teacher's; for per_image the images' losses and their number. Labels are downsampled by
// nearest to each map's own size. The teacher is a constant.
class I2ckdLoss : public Loss {
 public:
  explicit I2ckdLoss(const I2ckdOptions& options);
  LossStatistics Local(const LossInputs& inputs) override;
  torch::Tensor Finish(const LossStatistics& global) override;
  bool additive() const override { return options_.mean == I2ckdOptions::Mean::kPerImage; }
  std::vector<std::string> student_taps() const override { return {options_.tap}; }
  std::vector<std::string> teacher_taps() const override;
  // "intra", "inter": mean distances between prototypes (for per_image averaged over the images
  // that count).
  std::map<std::string, double> Parts(const LossStatistics& global) override;

  // The prototypes [K,C] of both sides from global statistics (not for per_image).
  struct Prototypes {
    torch::Tensor student, teacher, present;
  };
  Prototypes PrototypesOf(const LossStatistics& global) const;

 private:
  torch::Tensor LabelsOf(const LossInputs& inputs) const;
  ClassSums TeacherSums(const LossInputs& inputs, const torch::Tensor& labels) const;
  LossStatistics PerImage(const ClassSums& student, const ClassSums& teacher) const;
  const I2ckdOptions options_;
  torch::nn::Conv2d align_{nullptr};
};

}  // namespace reflux
