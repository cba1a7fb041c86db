// reflux-bench-targets: how fast stored targets reach a batch, beside other ways to keep them.
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>

#include "bench/bare_stream.h"
#include "bench/target_bench_options.h"
#include "bench/target_bench_report.h"
#include "common/base/build_version.h"
#include "common/base/exit_codes.h"
#include "common/base/file.h"

namespace reflux {
namespace {

struct Flags {
  TargetBenchOptions options;
  bool quick = false;
  int64_t serve_bare = 0;
  std::string endpoint_file;
};

void AddFlags(CLI::App& app, Flags& flags) {
  TargetBenchOptions& options = flags.options;
  app.add_option("--channels", options.channels,
                 "Of a value [channels, 45, 60] in fp16: 256 are 1.4 MB, 2048 are 11 MB")
      ->capture_default_str();
  app.add_option("--values", options.values, "Values stored")->capture_default_str();
  app.add_option("--rounds", options.rounds, "Rounds; every row reads every value once in each")
      ->capture_default_str();
  app.add_option("--threads", options.threads, "Calls in flight, of the rows over gRPC")
      ->capture_default_str();
  app.add_flag("--quick", flags.quick, "2 rounds of 8 values: shows that it runs");
  app.add_option("--scratch", options.scratch,
                 "Folder for temporary data; the system's by default");
  app.add_option("--cache-program", options.cache_program,
                 "reflux-cache; by default the one beside this program");
  app.add_option("--python", options.python,
                 "Also measures Python's ways: \"PYTHON bench/targets_peers.py\"");
  app.add_option("--json", options.json, "File to write the result to");
  app.add_option("--serve-bare", flags.serve_bare, "Be the server of the row grpc_bare")->group("");
  app.add_option("--endpoint-file", flags.endpoint_file, "Of that server")->group("");
  app.set_version_flag("--version", std::string(BuildVersion()));
}

int Fail(const absl::Status& status) {
  spdlog::error("reflux-bench-targets: {}", std::string(status.message()));
  return absl::IsInvalidArgument(status) ? kExitUsage : kExitFailed;
}

int Run(TargetBenchOptions options) {
  if (const absl::Status status = options.Resolve(); !status.ok()) return Fail(status);
  const auto series = MeasureTargets(options);
  if (!series.ok()) return Fail(series.status());
  std::printf(
      "%d values of %.2f MB, %d rounds, %d calls in flight over gRPC\n"
      "median [quartiles]; ratios of speeds within a round, above 1 is faster\n\n%s",
      options.values, 1e-6 * static_cast<double>(options.value_bytes()), options.rounds,
      options.threads, TargetTable(options, *series).c_str());
  if (options.json.empty()) return kExitDone;
  const absl::Status written = WriteFileAtomically(options.json, TargetJson(options, *series));
  return written.ok() ? kExitDone : Fail(written);
}

}  // namespace
}  // namespace reflux

int main(int argc, char** argv) {
  spdlog::set_default_logger(spdlog::stderr_color_mt("reflux-bench-targets"));
  CLI::App app("Measures how fast stored targets reach a batch.");
  reflux::Flags flags;
  reflux::AddFlags(app, flags);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? reflux::kExitDone : reflux::kExitUsage;
  }
  if (flags.serve_bare > 0) return reflux::ServeBareStream(flags.serve_bare, flags.endpoint_file);
  if (flags.quick) {
    flags.options.rounds = 2;
    flags.options.values = 8;
  }
  return reflux::Run(flags.options);
}
