#include "bench/quartiles.h"

#include <algorithm>

#include "absl/strings/str_format.h"

namespace reflux {

Quartiles QuartilesOf(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const auto at = [&](double share) {
    const double place = share * static_cast<double>(values.size() - 1);
    const auto low = static_cast<size_t>(place);
    const size_t high = std::min(low + 1, values.size() - 1);
    return values[low] + (place - static_cast<double>(low)) * (values[high] - values[low]);
  };
  return {.q1 = at(0.25), .median = at(0.5), .q3 = at(0.75)};
}

Quartiles RatioQuartiles(const std::vector<double>& of, const std::vector<double>& to) {
  std::vector<double> ratios;
  for (size_t i = 0; i < of.size(); ++i) ratios.push_back(of[i] / to[i]);
  return QuartilesOf(ratios);
}

std::string QuartilesCell(const Quartiles& value, int digits) {
  return absl::StrFormat("%.*f [%.*f, %.*f]", digits, value.median, digits, value.q1, digits,
                         value.q3);
}

}  // namespace reflux
