#include "common/targets/reduction.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace reflux {
namespace {

constexpr uint8_t kMaxPoolBit = 64;
constexpr int32_t kMinPoolWindow = 2;
constexpr char kMaxPoolPrefix[] = "max_pool:";

}  // namespace

bool IsReduction(int64_t byte) {
  if (byte == static_cast<int64_t>(Reduction::kNone)) return true;
  if (byte == static_cast<int64_t>(Reduction::kClassSums)) return true;
  return byte >= kMaxPoolBit + kMinPoolWindow && byte <= kMaxPoolBit + kMaxPoolWindow;
}

Reduction MaxPool(int32_t window) { return static_cast<Reduction>(kMaxPoolBit + window); }

int32_t MaxPoolWindow(Reduction reduction) {
  const auto byte = static_cast<uint8_t>(reduction);
  return byte > kMaxPoolBit ? byte - kMaxPoolBit : 0;
}

bool ReadsLabels(Reduction reduction) { return reduction == Reduction::kClassSums; }

std::string Name(Reduction reduction) {
  if (const int32_t window = MaxPoolWindow(reduction); window > 0)
    return absl::StrCat(kMaxPoolPrefix, window);
  return reduction == Reduction::kClassSums ? "class_sums" : "none";
}

absl::StatusOr<Reduction> ParseReduction(absl::string_view name) {
  for (const Reduction named : {Reduction::kNone, Reduction::kClassSums}) {
    if (name == Name(named)) return named;
  }
  absl::string_view text = name;
  int32_t window = 0;
  if (absl::ConsumePrefix(&text, kMaxPoolPrefix) && absl::SimpleAtoi(text, &window) &&
      window >= kMinPoolWindow && window <= kMaxPoolWindow && name == Name(MaxPool(window))) {
    return MaxPool(window);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("unknown reduction '", name, "', known: none, class_sums, ", kMaxPoolPrefix,
                   "K with K from ", kMinPoolWindow, " to ", kMaxPoolWindow));
}

}  // namespace reflux
