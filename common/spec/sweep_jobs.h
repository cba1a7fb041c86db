// The jobs that a file stands for: one, or those of a `kind: sweep`: the base with each variant
// laid on it, at each point of the grid. Thread-safe.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/spec/spec_node.h"
#include "common/spec/sweep_check.h"
#include "common/spec/sweep_grid.h"
#include "reflux/v1/config.pb.h"

namespace reflux {

struct SweepJob {
  // As the sweep names it, or kBaselineVariant; empty for a sweep without variants, and for a job.
  std::string variant;
  v1::JobSpec spec;
};

struct JobFile {
  std::string name;  // of the job or of the sweep
  bool sweep = false;
  std::vector<SweepJob> jobs;  // at least one; of a sweep by variant, then by grid
};

// Reads a job file (LoadJobFile) or a sweep, whose base stands in the sweep's folder unless its
// path is absolute.
//
// A job of a sweep is called SWEEP-VARIANT-FIELD-VALUE... and is resolved from, each laid on what
// stands before: the base, the variant's blocks, the grid's values, `overrides`. `baseline: true`
// adds the base without the losses that read a teacher; where the grid varies nothing else of it,
// once. Errors: as LoadJobFile, every problem of any job once; InvalidArgument for more than
// kMaxSweepJobs jobs, for a grid below a block that a variant removes, and for an override of what
// the grid varies.
absl::StatusOr<JobFile> LoadJobs(const std::string& path,
                                 const std::vector<std::string>& overrides = {});

// The same for trees that were read (ParseJobTree) and are a sweep and a job (KindOf). No I/O.
absl::StatusOr<JobFile> ExpandSweep(const SpecNode& sweep, SpecNode base,
                                    const std::vector<std::string>& overrides = {});

}  // namespace reflux
