// `kind: sweep` files are read and checked, not run in this version. Thread-safe, no I/O.
#pragma once

#include "common/spec/spec_node.h"
#include "common/spec/spec_problem.h"

namespace reflux {

// Unknown keys and wrong types in the sweep, its variants and its grid; without such, the one
// problem that a sweep is not available. The base file is not read.
SpecProblems CheckSweep(SpecNode root);

}  // namespace reflux
