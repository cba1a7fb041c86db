// What a supervisor leaves on disk about its process, so that an orchestrator that was away can
// tell what became of it: PATH.process.json before the program starts, PATH.exit.json after its
// end. Thread-safe.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace reflux {

struct ProcessRecord {
  std::string launch_id;
  std::string boot_id;
  pid_t supervisor_pid = 0;  // 0: cancelled by the orchestrator before it started
  uint64_t supervisor_start = 0;
  pid_t pid = 0;
  uint64_t start_time = 0;
};

// Written once, by whoever comes first: a supervisor that finds a record already there starts
// nothing. That is how an orchestrator rules out a launch that it cannot see yet. AlreadyExists.
absl::Status ClaimProcessRecord(const std::string& path, const ProcessRecord& record);
// NotFound; DataLoss when it cannot be parsed.
absl::StatusOr<ProcessRecord> ReadProcessRecord(const std::string& path);

struct ExitRecord {
  int exit_code = -1;  // -1 when ended by a signal
  int signal = 0;
  // "exited" by itself, "stopped" on request, "orphaned": no orchestrator renewed the lease.
  std::string cause;
};

absl::Status WriteExitRecord(const std::string& path, const ExitRecord& record);
absl::StatusOr<ExitRecord> ReadExitRecord(const std::string& path);

}  // namespace reflux
