// Reproducible tensor values from a name: the weights and inputs of the golden vectors that are too
// large to store. Pure functions.
//
// h = CRC-32 of the name's bytes; x = h + i * 0x9E3779B9 (mod 2^32), mixed by lowbias32
// (github.com/skeeto/hash-prospector); v = (x >> 8) * 2^-23 - 1, in [-1, 1). The value is, by the
// first rule that fits the name:
//   num_batches_tracked 0 (int64); an input 2v; running_mean 0.1v; running_var 1 + 0.25v;
//   .bias 0.1v; two or more dimensions sqrt(3 / fan_in) v with fan_in = n / shape[0];
//   anything else 1 + 0.25v.
#pragma once

#include <torch/types.h>

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace reflux {

enum class FillRule { kByName, kInput };

// CRC-32 (IEEE 802.3, reflected polynomial 0xEDB88320).
uint32_t Crc32(absl::string_view bytes);

// `salt` is put in front of `name` for the hash only. Returns float32, or int64 for
// num_batches_tracked; row-major.
torch::Tensor DeterministicFill(absl::string_view salt, absl::string_view name,
                                const std::vector<int64_t>& shape,
                                FillRule rule = FillRule::kByName);

}  // namespace reflux
