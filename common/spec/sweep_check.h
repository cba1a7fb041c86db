// `kind: sweep` files (KindOf) by themselves, without their base. Thread-safe, no I/O.
#pragma once

#include "common/spec/spec_node.h"
#include "common/spec/spec_problem.h"

namespace reflux {

// What `baseline: true` adds to the variants.
inline constexpr char kBaselineVariant[] = "baseline";

// Unknown keys and wrong types in the sweep, its variants and its grid.
SpecProblems CheckSweep(SpecNode root);

// The same where one job is wanted: a sweep that is right is the one problem that its jobs cannot
// be started.
SpecProblems CheckSweepAsJob(SpecNode root);

}  // namespace reflux
