// Which checkpoints belong to a job. Thread-safe.
#pragma once

#include <string>

#include "reflux/v1/config.pb.h"

namespace reflux {

// SHA-256 (hex) of what determines a run's numbers: everything in the job but names, places and the
// number of processes. `weights` stands for the contents of the files that it names: those that the
// student starts from and the teachers'; empty: there are none.
std::string JobDigest(const v1::JobSpec& spec, const std::string& weights);

}  // namespace reflux
