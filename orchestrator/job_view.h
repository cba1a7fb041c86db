// A stored job as people and tools see it. Thread-safe.
#pragma once

#include <string>

#include "orchestrator/store.pb.h"
#include "reflux/v1/jobs.pb.h"

namespace reflux {

// The job with its ranks, without the services that it shares.
v1::Job DescribeJob(const store::JobRecord& record);

// N of "worker/N", or -1.
int RankOf(const std::string& role);

}  // namespace reflux
