// reflux-bench-growth: whether a cache server keeps its speed and its memory as it grows.
#include "absl/status/statusor.h"
#include "absl/strings/str_format.h"
#include "bench/bench_program.h"
#include "bench/growth_rounds.h"
#include "bench/scratch_folder.h"
#include "common/base/status_macros.h"

namespace reflux {
namespace {

void AddFlags(CLI::App& app, GrowthOptions& options, bool& quick) {
  app.add_option("--dir", options.dir,
                 "Folder below which the stores are made and removed again: on the disk to measure")
      ->required();
  app.add_option("--channels", options.channels,
                 "Of a value [channels, 16, 16] in fp16: 16 are 8 kB")
      ->capture_default_str();
  app.add_option("--entries", options.entries, "Numbers of entries, e.g. 100000,1000000")
      ->delimiter(',')
      ->capture_default_str();
  app.add_option("--students", options.students, "Numbers of students at once, e.g. 1,4,16,64")
      ->delimiter(',')
      ->capture_default_str();
  app.add_option("--reads", options.reads, "Values that are read for a row in a round")
      ->capture_default_str();
  app.add_option("--rounds", options.rounds, "Rounds, in which rows take turns")
      ->capture_default_str();
  app.add_option("--cache-program", options.cache_program,
                 "reflux-cache; by default the one beside this program");
  app.add_flag("--quick", quick, "Small sizes: only shows that it runs");
}

absl::StatusOr<BenchResult> Measure(GrowthOptions options) {
  REFLUX_RETURN_IF_ERROR(options.Resolve());
  REFLUX_ASSIGN_OR_RETURN(const auto scratch, ScratchFolder::Create(options.dir));
  options.dir = scratch->path();
  REFLUX_ASSIGN_OR_RETURN(const auto rows, MeasureGrowth(options));
  return BenchResult{
      absl::StrFormat("values of %d bytes, %d in a call, %d rounds; over gRPC on loopback\n"
                      "median [quartiles]; ratios of rates within a round, above 1 is faster\n\n%s",
                      options.stored(1).value_bytes(), GrowthOptions::kCallValues, options.rounds,
                      GrowthTable(options, rows)),
      GrowthJson(options, rows)};
}

void MakeQuick(GrowthOptions& options) {
  options.entries = {200, 400};
  options.students = {1, 3};
  options.reads = 96;
  options.rounds = 2;
}

}  // namespace
}  // namespace reflux

int main(int argc, char** argv) {
  reflux::BenchProgram program("reflux-bench-growth",
                               "Measures a cache server by its entries and its students.");
  reflux::GrowthOptions options;
  bool quick = false;
  reflux::AddFlags(program.app(), options, quick);
  return program.Run(argc, argv, [&] {
    if (quick) reflux::MakeQuick(options);
    return reflux::Measure(options);
  });
}
