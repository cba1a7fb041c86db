// How the weight of a term changes over a run: ALW, the adaptive loss weighting of AICSD
// (arXiv 2308.04243), and the usual decays. Torch-free, pure.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace reflux {

enum class LossSchedule {
  kConstant,
  kLinear,  // times 1 - t, t = step / total
  kCosine,  // times (1 + cos(pi t)) / 2
  kStep,    // times 1, from t = 1/2 on 1/10, from t = 3/4 on 1/100
  // As the abstract words it: a teacher term counts times 1 - step / total.
  kAlw,
  // As the published code: alpha (CE + ICSD) + (1 - alpha) KD with alpha = step / total.
  kAlwPublished,
};

// What a term listens to; only kAlwPublished tells them apart.
enum class LossKind { kTask, kRelation, kResponse };  // CE; ICSD, I2CKD; KD

// Factor on the term's weight at `step` of `total` (0 <= step < total).
double WeightFactor(LossSchedule schedule, LossKind kind, int64_t step, int64_t total);

// "constant", "linear", "cosine", "step", "alw", "alw_published".
absl::StatusOr<LossSchedule> ParseLossSchedule(absl::string_view name);

}  // namespace reflux
