#include "bench/bench_program.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <cstdio>

#include "common/base/build_version.h"
#include "common/base/exit_codes.h"
#include "common/base/file.h"

namespace reflux {

BenchProgram::BenchProgram(const std::string& name, const std::string& description)
    : name_(name), app_(description) {
  spdlog::set_default_logger(spdlog::stderr_color_mt(name));
  app_.add_option("--json", json_, "File to write the result to");
  app_.set_version_flag("--version", std::string(BuildVersion()));
}

int BenchProgram::Run(int argc, char** argv,
                      const std::function<absl::StatusOr<BenchResult>()>& measure) {
  try {
    app_.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app_.exit(error) == 0 ? kExitDone : kExitUsage;
  }
  const absl::StatusOr<BenchResult> result = measure();
  if (!result.ok()) return Fail(result.status());
  std::fputs(result->text.c_str(), stdout);
  if (json_.empty()) return kExitDone;
  const absl::Status written = WriteFileAtomically(json_, result->json);
  return written.ok() ? kExitDone : Fail(written);
}

int BenchProgram::Fail(const absl::Status& status) const {
  spdlog::error("{}: {}", name_, std::string(status.message()));
  return absl::IsInvalidArgument(status) ? kExitUsage : kExitFailed;
}

}  // namespace reflux
