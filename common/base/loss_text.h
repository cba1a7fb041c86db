// How a line for people tells a training loss.
#pragma once

#include <map>
#include <optional>
#include <string>

namespace reflux {

// "loss 1.05 (ce 1.03, kd 0.02)". Parts of a term ("i2ckd.intra") are too much for one line.
// Without `total` the terms alone; empty when there is nothing.
std::string LossText(std::optional<double> total, const std::map<std::string, double>& terms);

}  // namespace reflux
