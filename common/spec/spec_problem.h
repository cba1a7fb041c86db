// What is wrong with a job file: collected, so that all of it is told at once.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace reflux {

struct SpecProblem {
  std::string where;  // "job.yaml:7", "--set train.seed=x", or empty for a job without a file
  std::string path;   // "losses.icsd.temperature"; empty: the file as a whole
  std::string text;
  bool unavailable = false;  // right, but not available in this version
  int line = 0;              // for sorting

  // "job.yaml:7: losses.icsd.temperature: text"
  std::string ToString() const;
};

using SpecProblems = std::vector<SpecProblem>;

// OK when empty. Otherwise one line a problem, by line: Unimplemented when all of them are things
// that are not available in this version, else InvalidArgument.
absl::Status ToStatus(SpecProblems problems);

}  // namespace reflux
