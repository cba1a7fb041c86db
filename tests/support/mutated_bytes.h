// Small damage to bytes, for parsers of what comes from outside.
#pragma once

#include <random>
#include <string>

namespace reflux {

// Changes a few places of `bytes`: a bit, a byte to an extreme or to any value, a piece doubled or
// removed. The same sequence of `random` gives the same bytes.
std::string Mutated(std::string bytes, std::mt19937& random);

}  // namespace reflux
