// What a teacher keeps of a map before it encodes it: what the loss needs of it, and no more.
// Torch-free; pure functions, thread-safe.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace reflux {

// One byte, which is part of a target's key: one of the named reductions, or 64 + K for max_pool:K
// (K in 2..63). Never renumber. Of a map [C,h,w] remain
//
//   none        [C,h,w]
//   class_sums  [C+1,K,1] for K classes of the labels: for each class the sum over its positions,
//               and in the last channel their number. The label of a position is the one at pixel
//               floor(i H / h) of its view; ignored and padded positions belong to no class.
//   max_pool:k  [C,floor(h/k),floor(w/k)]: the greatest value of each k x k window; a window larger
//               than the map shrinks to it, rows and columns that fill no window are left out
enum class Reduction : uint8_t { kNone = 1, kClassSums = 2 };

// Whether a byte from outside (a file, a message) is a reduction.
bool IsReduction(int64_t byte);
Reduction MaxPool(int32_t window);           // `window` in 2..kMaxPoolWindow
int32_t MaxPoolWindow(Reduction reduction);  // k of max_pool:k, 0 for all others
inline constexpr int32_t kMaxPoolWindow = 63;
// Whether the result depends on the sample's label, which then is part of the key.
bool ReadsLabels(Reduction reduction);

std::string Name(Reduction reduction);  // "none", "class_sums", "max_pool:4"
// InvalidArgument lists the known names.
absl::StatusOr<Reduction> ParseReduction(absl::string_view name);

}  // namespace reflux
