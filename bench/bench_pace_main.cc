// reflux-bench-pace: how fast a student may be before its targets hold it up.
#include "absl/status/statusor.h"
#include "absl/strings/str_format.h"
#include "bench/bench_program.h"
#include "bench/pace_options.h"
#include "bench/pace_report.h"
#include "bench/pace_rounds.h"
#include "common/base/status_macros.h"

namespace reflux {
namespace {

void AddFlags(CLI::App& app, PaceBenchOptions& options, bool& quick) {
  app.add_option("--taps", options.taps, "Of logits, aspp, c4: measured one after the other")
      ->delimiter(',')
      ->capture_default_str();
  app.add_option("--batch", options.batch, "Images, each with one map")->capture_default_str();
  app.add_option("--size", options.size,
                 "Of the images, HxW; maps have an eighth of each side, in fp16")
      ->capture_default_str();
  app.add_option("--values", options.values, "Distinct maps stored of each tap, in each form")
      ->capture_default_str();
  app.add_option("--rounds", options.rounds, "Rounds; in each, every row looks for its pace once")
      ->capture_default_str();
  app.add_option("--steps", options.steps, "Steps of one try of a pace")->capture_default_str();
  app.add_option("--threads", options.threads, "Loader threads, as train.loader_threads")
      ->capture_default_str();
  app.add_option("--depth", options.depth, "Batches ahead, as train.prefetch_depth")
      ->capture_default_str();
  app.add_option("--min-ms", options.min_ms, "Least pace tried")->capture_default_str();
  app.add_option("--max-ms", options.max_ms, "Greatest pace tried")->capture_default_str();
  app.add_flag("--huge-pages", options.huge_pages,
               "Batches in huge pages, as numpy's arrays; else in plain ones, as tensors");
  app.add_flag("--quick", quick, "2 rounds of 2 steps, few small values: shows that it runs");
  app.add_option("--scratch", options.scratch,
                 "Folder for temporary data; the system's by default");
  app.add_option("--cache-program", options.cache_program,
                 "reflux-cache; by default the one beside this program");
  app.add_option("--python", options.python,
                 "Also measures Python's loaders: \"PYTHON bench/pace_peers.py\"");
}

void MakeQuick(PaceBenchOptions& options) {
  options.rounds = options.steps = 2;
  options.batch = 2;
  options.values = 3;
  options.size = "96x160";  // smaller maps have no place of their own in a file
}

absl::StatusOr<BenchResult> Measure(PaceBenchOptions options) {
  REFLUX_RETURN_IF_ERROR(options.Resolve());
  REFLUX_ASSIGN_OR_RETURN(const auto taps, MeasurePaces(options));
  return BenchResult{
      absl::StrFormat(
          "batch %d of %s in fp16, in %s pages, %d loader threads, %d batches ahead, %d "
          "rounds, %d steps a try\n"
          "smallest T from %g to %g ms with at most %g %% stall, median [quartiles]; "
          "ratios of T within a round, below 1 is faster\n%s",
          options.batch, options.size, options.huge_pages ? "huge" : "plain", options.threads,
          options.depth, options.rounds, options.steps, options.min_ms, options.max_ms,
          100 * kMaxStall, PaceTable(options, taps)),
      PaceJson(options, taps)};
}

}  // namespace
}  // namespace reflux

int main(int argc, char** argv) {
  reflux::BenchProgram program("reflux-bench-pace",
                               "Measures how fast a student may be before targets hold it up.");
  reflux::PaceBenchOptions options;
  bool quick = false;
  reflux::AddFlags(program.app(), options, quick);
  return program.Run(argc, argv, [&] {
    if (quick) reflux::MakeQuick(options);
    return reflux::Measure(options);
  });
}
