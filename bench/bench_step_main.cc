// reflux-bench-step: what a training step costs by where its targets come from.
#include "absl/status/statusor.h"
#include "absl/strings/str_format.h"
#include "bench/bench_program.h"
#include "bench/step_options.h"
#include "bench/step_report.h"
#include "bench/step_rounds.h"
#include "common/base/status_macros.h"

namespace reflux {
namespace {

void AddFlags(CLI::App& app, StepBenchOptions& options, bool& quick) {
  app.add_option("--rounds", options.rounds, "Rounds; every row runs once in each")
      ->capture_default_str();
  app.add_option("--steps", options.steps, "Timed steps of a row in a round")
      ->capture_default_str();
  app.add_flag("--quick", quick, "2 rounds of 2 steps: shows that it runs, measures nothing");
  app.add_option("--precision", options.precision, "fp32 or bf16, of student and teacher")
      ->capture_default_str();
  app.add_option("--taps", options.taps,
                 "What the teacher is asked for: logits; logits,aspp; aspp; c4")
      ->capture_default_str();
  app.add_option(
      "--losses", options.losses,
      "kd or icsd with logits, kd+i2ckd with logits,aspp, i2ckd with aspp, afdcd_contrast "
      "with c4; the first of these unless given");
  app.add_option("--reduce", options.reduce, "as targets.reduce of a job: none or auto")
      ->capture_default_str();
  app.add_option("--codec", options.codec, "as targets.codec of a job")->capture_default_str();
  app.add_option("--teacher-model", options.teacher_model, "Architecture of the teacher")
      ->capture_default_str();
  app.add_option("--device", options.device,
                 "cpu, cuda or auto, of the student and of the live teacher")
      ->capture_default_str();
  app.add_option("--batch", options.batch, "Images a step")->capture_default_str();
  app.add_option("--threads", options.threads,
                 "Threads of the student and of the teacher; 0: all cores")
      ->capture_default_str();
  app.add_option("--scratch", options.scratch,
                 "Folder for temporary data; the system's by default");
  app.add_option("--cache-program", options.cache_program,
                 "reflux-cache; by default the one beside this program");
}

absl::StatusOr<BenchResult> Measure(StepBenchOptions options) {
  REFLUX_RETURN_IF_ERROR(options.Resolve());
  REFLUX_ASSIGN_OR_RETURN(const auto series, MeasureSteps(options));
  return BenchResult{
      absl::StrFormat("%s teacher, %s, losses %s, taps %s, reduce %s, codec %s, %s, %d images, %d "
                      "threads, %d rounds of %d steps\n"
                      "median [quartiles]; ratios within a round\n\n%s",
                      options.teacher_model, options.precision, options.losses, options.taps,
                      options.reduce, options.codec, options.device, options.batch, options.threads,
                      options.rounds, options.steps, StepTable(series)),
      StepJson(options, series)};
}

}  // namespace
}  // namespace reflux

int main(int argc, char** argv) {
  reflux::BenchProgram program(
      "reflux-bench-step",
      "Measures a student's step with targets from memory, teacher and cache.");
  reflux::StepBenchOptions options;
  bool quick = false;
  reflux::AddFlags(program.app(), options, quick);
  return program.Run(argc, argv, [&] {
    if (quick) options.rounds = options.steps = 2;
    return reflux::Measure(options);
  });
}
