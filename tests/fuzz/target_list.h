// What the files of targets share: a promise that aborts when it is broken, and the parts of the
// list.
#pragma once

#include <cstdlib>
#include <iostream>
#include <vector>

#include "tests/fuzz/fuzz_targets.h"

namespace reflux {

inline void Require(bool holds, const char* what) {
  if (holds) return;
  std::cerr << "broken promise: " << what << std::endl;
  std::abort();
}
#define REQUIRE_PROMISE(condition) Require((condition), #condition)

std::vector<FuzzTarget> MessageTargets();  // requests, answers, records of the cache, values
std::vector<FuzzTarget> FileTargets();     // what people and other programs write

}  // namespace reflux
