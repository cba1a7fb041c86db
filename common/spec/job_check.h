// Checks of a whole job, from a file or from the wire. Thread-safe, no I/O.
#pragma once

#include "common/spec/spec_problem.h"
#include "reflux/v1/config.pb.h"

namespace reflux {

// All of it at once: every value by itself (allowed values, ranges, what is not available), what is
// missing, and what contradicts itself. Paths are those of the message ("teachers.default.layout");
// `where` is empty.
SpecProblems CheckJob(const v1::JobSpec& spec);

// CheckJob as a status: InvalidArgument, or Unimplemented if all problems are things that are not
// available in this version. For services that receive a spec.
absl::Status ValidateJob(const v1::JobSpec& spec);

}  // namespace reflux
