// reflux-bench-serving: what serving a teacher costs over running it.
#include "absl/status/statusor.h"
#include "absl/strings/str_format.h"
#include "bench/bench_program.h"
#include "bench/serving_report.h"
#include "bench/serving_rounds.h"
#include "common/base/status_macros.h"

namespace reflux {
namespace {

void AddFlags(CLI::App& app, ServingBenchOptions& options, bool& quick) {
  app.add_option("--rounds", options.rounds, "Rounds; both rows run once in each")
      ->capture_default_str();
  app.add_option("--batches", options.batches, "Full batches of a row in a round")
      ->capture_default_str();
  app.add_option("--singles", options.singles, "Lone requests of a row in a round")
      ->capture_default_str();
  app.add_flag("--quick", quick, "2 rounds of 2: shows that it runs, measures nothing");
  app.add_option("--batch", options.batch, "Images of a forward")->capture_default_str();
  app.add_option("--clients", options.clients, "Requests in flight at full load")
      ->capture_default_str();
  app.add_option("--runners", options.runners, "Forwards of the server at once")
      ->capture_default_str();
  app.add_option("--threads", options.threads, "Threads of a forward; 0: all cores")
      ->capture_default_str();
  app.add_option("--max-delay-ms", options.max_delay_ms, "As of reflux-teacher")
      ->capture_default_str();
  app.add_option("--precision", options.precision, "fp32 or bf16")->capture_default_str();
  app.add_option("--tap", options.tap, "Map that is asked for")->capture_default_str();
  app.add_option("--codec", options.codec, "as targets.codec of a job")->capture_default_str();
  app.add_option("--teacher-model", options.teacher_model, "Architecture of the teacher")
      ->capture_default_str();
  app.add_option("--height", options.height, "Of the images, in pixels")->capture_default_str();
  app.add_option("--width", options.width, "Of the images, in pixels")->capture_default_str();
}

absl::StatusOr<BenchResult> Measure(ServingBenchOptions options) {
  REFLUX_RETURN_IF_ERROR(options.Resolve());
  REFLUX_ASSIGN_OR_RETURN(const auto rounds, MeasureServing(options));
  return BenchResult{
      absl::StrFormat(
          "%s, %s, images of %dx%d, %s in %s, batch %d, %d clients, %d runners of %d threads\n"
          "%d rounds; median [quartiles], ratios within a round\n\n%s",
          options.teacher_model, options.precision, options.height, options.width, options.tap,
          options.codec, options.batch, options.clients, options.runners, options.threads,
          options.rounds, ServingTable(options, rounds)),
      ServingJson(options, rounds)};
}

}  // namespace
}  // namespace reflux

int main(int argc, char** argv) {
  reflux::BenchProgram program("reflux-bench-serving",
                               "Measures a served teacher beside the bare loop over its model.");
  reflux::ServingBenchOptions options;
  bool quick = false;
  reflux::AddFlags(program.app(), options, quick);
  return program.Run(argc, argv, [&] {
    if (quick) options.rounds = options.batches = options.singles = 2;
    return reflux::Measure(options);
  });
}
