// Mixup (Zhang et al. 2018, arXiv 1710.09412) and CutMix (Yun et al. 2019, arXiv 1905.04899): each
// image of a batch is mixed with another of the same batch, and the losses of both labels alike.
// Torch-free, thread-safe.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/base/counter_random.h"

namespace reflux {

struct MixOptions {
  enum class Kind { kNone, kMixup, kCutmix };
  Kind kind = Kind::kNone;
  double alpha = 1;  // the first image's share is from Beta(alpha, alpha); (0, 100]
};

absl::StatusOr<MixOptions::Kind> ParseMix(absl::string_view name);  // none, mixup, cutmix

// How one global batch is mixed: image i with image partner[i].
struct Mix {
  double share = 1;              // of image i's label
  std::vector<int64_t> partner;  // a permutation of the batch's positions
  bool blend = false;            // every pixel is share * own + (1 - share) * partner's
  int32_t top = 0, left = 0, bottom = 0, right = 0;  // otherwise this box is the partner's
};

// A pure function of its arguments, so that ranks of any number mix alike. One share, and of CutMix
// one box, for the whole batch, as published: its sides are sqrt(1 - share) of the image's around a
// uniform centre, cut off at the borders, and the share is then what the box leaves.
Mix DrawMix(const MixOptions& options, uint64_t seed, int64_t step, int64_t batch, int32_t height,
            int32_t width);

// From Beta(alpha, alpha), for the counter: two gamma numbers by Marsaglia and Tsang (2000).
double DrawBeta(const CounterRandom& random, double alpha, uint64_t counter);

}  // namespace reflux
