// Medians with quartiles of a few measurements. Torch-free.
#pragma once

#include <string>
#include <vector>

namespace reflux {

struct Quartiles {
  double q1 = 0, median = 0, q3 = 0;
};
// Linear interpolation between order statistics; `values` is not empty.
Quartiles QuartilesOf(std::vector<double> values);

// Of the ratios round by round; both have the same number of rounds.
Quartiles RatioQuartiles(const std::vector<double>& of, const std::vector<double>& to);

// "1.234 [1.200, 1.250]" with `digits` after the point.
std::string QuartilesCell(const Quartiles& value, int digits);

}  // namespace reflux
