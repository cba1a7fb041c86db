// The parsers of bytes that come from outside, as functions of arbitrary bytes, for the replay of
// seeds and corpus in the tests (replay_test.cc). Torch-free.
#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace reflux {

struct FuzzTarget {
  std::string name;
  // Parses `bytes`. Aborts when what was accepted does not hold what its header promises; a
  // sanitizer sees the rest.
  void (*parse)(absl::string_view bytes);
  // Valid inputs to begin with.
  std::vector<std::string> (*seeds)();
};

const std::vector<FuzzTarget>& FuzzTargets();

}  // namespace reflux
