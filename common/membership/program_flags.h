// What the mains of reflux-cache, reflux-teacher and reflux-worker share. Not thread-safe.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/cancellation.h"
#include "common/membership/membership_flags.h"
#include "common/metrics/prometheus_registry.h"

namespace reflux {

struct ProgramFlags {
  std::string metrics_listen;  // empty: no page
  std::string log_level = "info";
  MembershipFlags membership;
};

// --log-level; SetLogLevel once it is parsed.
void AddLogLevelFlag(CLI::App& app, std::string& log_level);
void SetLogLevel(const std::string& log_level);

// --metrics-listen, --log-level, --version and those of the orchestrator.
void AddProgramFlags(CLI::App& app, ProgramFlags& flags);

// --listen, --endpoint-file, --insecure of a server.
void AddServerFlags(CLI::App& app, std::string& listen, std::string& endpoint_file, bool& insecure);

// Parses the command line and sets the log level. The exit code of a program that is done with that
// (--help, or a mistake that has been told).
std::optional<int> ParseFlags(CLI::App& app, int argc, const char* const* argv,
                              const ProgramFlags& flags);

// Serves --metrics-listen and logs its address; null without the flag. `common` labels stand on
// every metric. Errors as PrometheusRegistry::Start.
absl::StatusOr<std::unique_ptr<PrometheusRegistry>> StartMetricsPage(
    const ProgramFlags& flags, const MetricLabels& common = {});

// A server at `address` that is ready: registers it with the orchestrator, if one was named, blocks
// until `signals` or the orchestrator wants it to stop, then calls `stop`, during which heartbeats
// go on. Errors as StartMembership.
absl::Status ServeUntilStopped(const ProgramFlags& flags, const std::string& address,
                               const PrometheusRegistry* metrics, Cancellation& signals,
                               const std::function<void()>& stop);

}  // namespace reflux
