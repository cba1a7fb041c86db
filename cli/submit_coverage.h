// What `reflux submit` tells of the cache that the job will use.
#pragma once

#include <string>

#include "cli/file_commands.h"
#include "cli/terminal.h"
#include "reflux/v1/jobs.pb.h"

namespace reflux {

// Waits until the orchestrator has the job's cache running, asks it how many of the job's targets
// it holds, and prints that to `err`: "0 of 2975 targets cached." Says nothing for a job that
// caches nothing, and nothing but why when it cannot be told: the job does not depend on it.
void TellCoverage(Terminal& terminal, const std::string& endpoint, const JobFileFlags& flags,
                  const v1::Job& job);

}  // namespace reflux
