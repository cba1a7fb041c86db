// Jobs in words. Thread-safe.
#pragma once

#include <string>

#include "absl/time/time.h"
#include "reflux/v1/jobs.pb.h"

namespace reflux {

std::string StateName(v1::JobState state);  // "running"
bool IsFinalState(v1::JobState state);

// "loss 1.234 (ce 1.1, kd 0.3), mIoU 41.2 %, 3.1 images/s, wait for targets 12 ms"; what is not
// known yet is left out, and the wait of a job without a teacher.
std::string ProgressNote(const v1::Job& job);

// Seconds that the job has run, to `now` if it still does; 0 before it starts.
int64_t RunSeconds(const v1::Job& job, absl::Time now);

// The table of `reflux ps`, newest first.
std::string JobsTable(const v1::ListJobsResponse& jobs, absl::Time now);

// `reflux describe`.
std::string DescribeText(const v1::Job& job, absl::Time now);

}  // namespace reflux
