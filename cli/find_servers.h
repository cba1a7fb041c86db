// The servers that an orchestrator runs, for commands that were not told which one to ask.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/terminal.h"

namespace reflux {

struct FoundServer {
  std::string role;     // "cache/lab/9f3c01ab"
  std::string address;  // host:port
};

// Those of `kind` ("cache" or "teacher") that serve now, by role: the ones of the orchestrator's
// jobs, and if it is named by a file ("@FILE", this machine's) also those that linger after their
// jobs. NotFound when there is none; the errors of the calls.
absl::StatusOr<std::vector<FoundServer>> FindServers(const std::string& orchestrator,
                                                     const std::string& kind);

struct ServerChoice {
  std::string endpoint;  // "host:port" or "@FILE"; empty: every server of `kind` that is found
  std::string orchestrator;
  std::string kind;
};

// Runs `command` with the endpoint of each server chosen. Several get their roles as headings, with
// --json one document each. Returns the worst exit code.
int OnServers(Terminal& terminal, const ServerChoice& choice,
              const std::function<int(const std::string&)>& command);

// The same for a command that changes something or writes a file: it runs on one server. Where
// several are found it says which they are and how to choose.
int OnOneServer(Terminal& terminal, const ServerChoice& choice,
                const std::function<int(const std::string&)>& command);

}  // namespace reflux
