// One student process from flags to exit code: membership, rendezvous, target path, training.
#pragma once

#include <string>
#include <vector>

#include "common/membership/program_flags.h"

namespace reflux {

struct WorkerFlags {
  std::string job;        // job file, YAML or resolved JSON
  std::string directory;  // of the run: checkpoints, metrics.jsonl, student.safetensors
  int rank = 0, world_size = 1;
  // "[TEACHER=]ENDPOINT" of caches or teachers; empty: the teachers run in this process.
  std::vector<std::string> targets;
  std::string cache_directory;  // of the embedded cache; empty: <directory>/cache
  std::string store;            // ranks above 0 without an orchestrator: rank 0's store
  // Standard output is a terminal that a person watches: a bar in place of a line every some steps.
  bool bar = false;
  ProgramFlags program;
};

// Blocks until the run ends. Returns an exit code (common/base/exit_codes.h); errors are logged.
int RunWorker(const WorkerFlags& flags);

}  // namespace reflux
