#include "bench/pace_options.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "bench/cache_program.h"
#include "common/base/status_macros.h"

namespace reflux {
namespace {

constexpr int kStride = 8;

struct Tap {
  const char* name;
  int32_t channels;
};
// Of DeepLabV3-ResNet-101 with the classes of Cityscapes.
constexpr Tap kTaps[] = {{"logits", 19}, {"aspp", 256}, {"c4", 2048}};

absl::Status Bad(const std::string& what) { return absl::InvalidArgumentError(what); }

absl::StatusOr<std::pair<int, int>> ParseSize(const std::string& size) {
  const std::vector<std::string> sides = absl::StrSplit(size, 'x');
  int height = 0, width = 0;
  if (sides.size() == 2 && absl::SimpleAtoi(sides[0], &height) &&
      absl::SimpleAtoi(sides[1], &width) && height >= kStride && width >= kStride &&
      height <= View::kMaxSide && width <= View::kMaxSide) {
    return std::pair(height, width);
  }
  return Bad(absl::StrCat("--size: HxW in pixels, each from ", kStride, " to ", View::kMaxSide));
}

}  // namespace

absl::Status PaceBenchOptions::Resolve() {
  if (batch < 1 || batch > int{TargetRequest::kMaxSamples}) return Bad("--batch: 1..1024");
  if (values < 1 || values > 100000) return Bad("--values: 1..100000");
  if (rounds < 1 || steps < 1) return Bad("--rounds, --steps: at least 1");
  if (threads < 1 || threads > 64) return Bad("--threads: 1..64");
  if (depth < 1) return Bad("--depth: at least 1");
  if (!(min_ms > 0) || !(max_ms > min_ms)) {
    return Bad("--min-ms, --max-ms: above 0, the second above the first");
  }
  if (taps.empty()) return Bad("--taps: at least one");
  for (const std::string& tap : taps) REFLUX_RETURN_IF_ERROR(stored(tap).status());
  return FindCacheProgram(cache_program);
}

absl::StatusOr<StoredValues> PaceBenchOptions::stored(const std::string& tap) const {
  REFLUX_ASSIGN_OR_RETURN(const auto sides, ParseSize(size));
  for (const Tap& known : kTaps) {
    if (tap != known.name) continue;
    const StoredValues stored{{known.channels, sides.first / kStride, sides.second / kStride},
                              values};
    if (stored.value_bytes() <= EncodedTarget::kMaxBytes) return stored;
    return Bad(absl::StrCat("--size: a map of ", tap, " would be larger than a target may be"));
  }
  return Bad(absl::StrCat("--taps: '", tap, "' is none of logits, aspp, c4"));
}

}  // namespace reflux
