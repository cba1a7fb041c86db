// reflux-bench-losses: what a loss costs, beside the formula written down in LibTorch and in
// Python.
#include "absl/status/statusor.h"
#include "absl/strings/str_format.h"
#include "bench/bench_program.h"
#include "bench/loss_rounds.h"
#include "bench/scratch_folder.h"
#include "common/base/status_macros.h"

namespace reflux {
namespace {

void AddFlags(CLI::App& app, LossBenchOptions& options) {
  app.add_option("--rounds", options.rounds, "Rounds; every form runs once in each")
      ->capture_default_str();
  app.add_option("--batch", options.batch, "Images")->capture_default_str();
  app.add_option("--height", options.height, "Height of the maps")->capture_default_str();
  app.add_option("--width", options.width, "Width of the maps")->capture_default_str();
  app.add_option("--classes", options.classes, "Channels of the logits")->capture_default_str();
  app.add_option("--losses", options.losses, "Names of the losses to measure; none: all")
      ->delimiter(',');
  app.add_option("--reference", options.reference,
                 "\"PYTHON bench/losses_reference.py\": a Python that has torch; adds its column");
}

absl::StatusOr<BenchResult> Measure(const LossBenchOptions& options) {
  REFLUX_RETURN_IF_ERROR(options.Validate());
  REFLUX_ASSIGN_OR_RETURN(const auto scratch, ScratchFolder::Create(""));
  REFLUX_ASSIGN_OR_RETURN(const auto series, MeasureLosses(options, scratch->path()));
  return BenchResult{
      absl::StrFormat("%d images, maps of %dx%d, %d classes, float32, %d threads, %d rounds\n\n%s",
                      options.batch, options.height, options.width, options.classes,
                      torch::get_num_threads(), options.rounds, LossTable(series)),
      LossJson(options, series)};
}

}  // namespace
}  // namespace reflux

int main(int argc, char** argv) {
  reflux::BenchProgram program("reflux-bench-losses",
                               "Measures forward and backward of every loss, with the memory they "
                               "take.");
  reflux::LossBenchOptions options;
  reflux::AddFlags(program.app(), options);
  return program.Run(argc, argv, [&] { return reflux::Measure(options); });
}
