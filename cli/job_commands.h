// Commands that ask the orchestrator. `endpoint` is "host:port" or "@FILE".
#pragma once

#include <string>

#include "cli/file_commands.h"
#include "cli/terminal.h"

namespace reflux {

// Prints the id of the job; the file is checked here first. The id alone goes to `out`, so that
// scripts can read it.
int Submit(Terminal& terminal, const std::string& endpoint, const JobFileFlags& flags, bool watch);
int ListJobs(Terminal& terminal, const std::string& endpoint);
int Describe(Terminal& terminal, const std::string& endpoint, const std::string& job_id);
int Cancel(Terminal& terminal, const std::string& endpoint, const std::string& job_id);

struct LogFlags {
  std::string job_id;
  std::string role;  // "worker/0", "teacher/<name>", "cache/<name>"; empty: worker/0
  bool follow = false;
};
// The last 64 KiB of one process's log; with `follow` also what comes, until the job has ended.
int Logs(Terminal& terminal, const std::string& endpoint, const LogFlags& flags);

}  // namespace reflux
