#include "common/membership/program_flags.h"

#include <spdlog/spdlog.h>

#include "common/base/build_version.h"
#include "common/base/exit_codes.h"
#include "common/base/status_macros.h"

namespace reflux {

void AddLogLevelFlag(CLI::App& app, std::string& log_level) {
  app.add_option("--log-level", log_level, "trace, debug, info, warn, error or off")
      ->check(CLI::IsMember({"trace", "debug", "info", "warn", "error", "off"}))
      ->capture_default_str();
}

void SetLogLevel(const std::string& log_level) {
  spdlog::set_level(spdlog::level::from_str(log_level));
}

void AddProgramFlags(CLI::App& app, ProgramFlags& flags) {
  app.add_option("--metrics-listen", flags.metrics_listen,
                 "host:port of the Prometheus page; none unless given");
  AddLogLevelFlag(app, flags.log_level);
  app.set_version_flag("--version", std::string(BuildVersion()));
  AddMembershipFlags(app, flags.membership);
}

void AddServerFlags(CLI::App& app, std::string& listen, std::string& endpoint_file,
                    bool& insecure) {
  app.add_option("--listen", listen,
                 "host:port to serve on; port 0: a free one, first the one published before")
      ->capture_default_str();
  app.add_option("--endpoint-file", endpoint_file,
                 "File to write the own host:port to, for clients that name it as @FILE");
  app.add_flag("--insecure", insecure,
               "Allow listening beyond loopback: there is no TLS in this version");
}

std::optional<int> ParseFlags(CLI::App& app, int argc, const char* const* argv,
                              const ProgramFlags& flags) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kExitDone : kExitUsage;
  }
  SetLogLevel(flags.log_level);
  return std::nullopt;
}

absl::StatusOr<std::unique_ptr<PrometheusRegistry>> StartMetricsPage(const ProgramFlags& flags,
                                                                     const MetricLabels& common) {
  if (flags.metrics_listen.empty()) return nullptr;
  REFLUX_ASSIGN_OR_RETURN(std::unique_ptr<PrometheusRegistry> page,
                          PrometheusRegistry::Start(flags.metrics_listen, common));
  spdlog::info("metrics at http://{}/metrics", page->address());
  return page;
}

absl::Status ServeUntilStopped(const ProgramFlags& flags, const std::string& address,
                               const PrometheusRegistry* metrics, Cancellation& signals,
                               const std::function<void()>& stop) {
  MembershipOptions options;
  options.address = address;
  if (metrics != nullptr) options.metrics_address = metrics->address();
  REFLUX_ASSIGN_OR_RETURN(const std::unique_ptr<MembershipClient> membership,
                          StartMembership(flags.membership, options, nullptr));
  AwaitCancelled({&signals, membership ? membership->stop_requested().get() : nullptr});
  stop();
  return absl::OkStatus();
}

}  // namespace reflux
