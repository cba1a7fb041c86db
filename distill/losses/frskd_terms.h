// The distillation terms of FRSKD, feature refinement via self-knowledge distillation ("Refine
// Myself by Teaching Myself", CVPR 2021; code MingiJi/FRSKD): the student learns the soft labels
// and the refined maps of a self-teacher, which are constants here. Not thread-safe.
#pragma once

#include <torch/nn/module.h>
#include <torch/nn/modules/container/modulelist.h>
#include <torch/types.h>

#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace reflux {

// How a map F of the student is held against the refined map G of the same level.
enum class FrskdFeatures {
  kAttention,  // mean over positions of (a(F) - a(G))^2, as in attention transfer
  kFitNet,     // mean over all elements of (ReLU(BN(conv1x1(F))) - G)^2
  // On maps before their ReLU: t = max(G, margin), p = BN(conv1x1(F)); the sum of (p - t)^2 where
  // p > t or t > 0, halved for each level that is finer than the last.
  kOverhaul,
};

absl::StatusOr<FrskdFeatures> ParseFrskdFeatures(absl::string_view name);  // at, fitnet, overhaul

// Weight of the distillation terms at `position` (step or epoch, from 0) of `total`: 0 before
// `warmup`, then exp(-sharpness (1 - x)^2) with x = (position + 1 - warmup) / (total - warmup), at
// most 1; 1 when nothing follows the warm-up.
double FrskdRamp(int64_t position, int64_t warmup, int64_t total, double sharpness = 5);

// E[x | x < 0] of the normal distribution with deviation |weight| and mean `bias`, for each channel
// [C]: what a ReLU that follows the norm throws away. `fallback` deviations where P(x < 0) is at
// most `min_probability`. In the type of `weight`, no gradient.
torch::Tensor OverhaulMargin(const torch::Tensor& weight, const torch::Tensor& bias,
                             double min_probability = 1e-3, double fallback = -3);

struct FrskdTermOptions {
  FrskdFeatures features = FrskdFeatures::kAttention;
  double temperature = 1;
  int64_t power = 2;  // of the attention
  // Of each level, finest first.
  std::vector<int64_t> student_channels, teacher_channels;
  double norm_epsilon = 1e-5;

  absl::Status Validate() const;
};

// All terms are sums over the images; divide by their number. With FitNet and overhaul the
// connectors "linear.<level>" (1x1 convolution without bias, batch norm) are parameters.
class FrskdTerms : public torch::nn::Module {
 public:
  explicit FrskdTerms(const FrskdTermOptions& options);

  // T^2 times the mean over positions of KL(softmax(teacher / T) || softmax(student / T)); both
  // [N,C,h,w], or [N,C] for a classifier.
  torch::Tensor SoftLabels(const torch::Tensor& student, const torch::Tensor& teacher) const;
  // `student` [N,C_S,h,w] and `teacher` [N,C_T,h,w] of `level`; `margin` [C_T] for overhaul alone.
  torch::Tensor Level(int64_t level, const torch::Tensor& student, const torch::Tensor& teacher,
                      const torch::Tensor& margin = {});

 private:
  torch::Tensor Overhaul(const torch::Tensor& student, const torch::Tensor& teacher,
                         const torch::Tensor& margin) const;

  const FrskdTermOptions options_;
  torch::nn::ModuleList linear_{nullptr};
};

}  // namespace reflux
