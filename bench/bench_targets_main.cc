// reflux-bench-targets: how fast stored targets reach a batch, beside other ways to keep them.
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/str_format.h"
#include "bench/bare_stream.h"
#include "bench/bench_program.h"
#include "bench/target_bench_options.h"
#include "bench/target_bench_report.h"
#include "common/base/status_macros.h"

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
  app.add_option("--serve-bare", flags.serve_bare, "Be the server of the row grpc_bare")->group("");
  app.add_option("--endpoint-file", flags.endpoint_file, "Of that server")->group("");
}

absl::StatusOr<BenchResult> Measure(TargetBenchOptions options) {
  REFLUX_RETURN_IF_ERROR(options.Resolve());
  REFLUX_ASSIGN_OR_RETURN(const auto series, MeasureTargets(options));
  return BenchResult{
      absl::StrFormat(
          "%d values of %.2f MB, %d rounds, %d calls in flight over gRPC\n"
          "median [quartiles]; ratios of speeds within a round, above 1 is faster\n\n%s",
          options.values, 1e-6 * static_cast<double>(options.stored().value_bytes()),
          options.rounds, options.threads, TargetTable(options, series)),
      TargetJson(options, series)};
}

absl::StatusOr<BenchResult> Run(Flags& flags) {
  if (flags.serve_bare > 0) {
    REFLUX_RETURN_IF_ERROR(ServeBareStream(flags.serve_bare, flags.endpoint_file));
    return BenchResult{};
  }
  if (flags.quick) {
    flags.options.rounds = 2;
    flags.options.values = 8;
  }
  return Measure(flags.options);
}

}  // namespace
}  // namespace reflux

int main(int argc, char** argv) {
  reflux::BenchProgram program("reflux-bench-targets",
                               "Measures how fast stored targets reach a batch.");
  reflux::Flags flags;
  reflux::AddFlags(program.app(), flags);
  return program.Run(argc, argv, [&] { return reflux::Run(flags); });
}
