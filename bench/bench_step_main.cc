// reflux-bench-step: what a training step costs by where its targets come from.
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>

#include "bench/step_options.h"
#include "bench/step_report.h"
#include "bench/step_rounds.h"
#include "common/base/build_version.h"
#include "common/base/exit_codes.h"
#include "common/base/file.h"

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
  app.add_option("--json", options.json, "File to write the result to");
  app.set_version_flag("--version", std::string(BuildVersion()));
}

int Fail(const absl::Status& status) {
  spdlog::error("reflux-bench-step: {}", std::string(status.message()));
  return absl::IsInvalidArgument(status) ? kExitUsage : kExitFailed;
}

int Run(StepBenchOptions options) {
  if (const absl::Status status = options.Resolve(); !status.ok()) return Fail(status);
  const auto series = MeasureSteps(options);
  if (!series.ok()) return Fail(series.status());
  std::printf(
      "%s teacher, %s, losses %s, taps %s, reduce %s, codec %s, %s, %d images, %d threads, %d "
      "rounds of "
      "%d steps\n"
      "median [quartiles]; ratios within a round\n\n%s",
      options.teacher_model.c_str(), options.precision.c_str(), options.losses.c_str(),
      options.taps.c_str(), options.reduce.c_str(), options.codec.c_str(), options.device.c_str(),
      options.batch, options.threads, options.rounds, options.steps, StepTable(*series).c_str());
  if (options.json.empty()) return kExitDone;
  const absl::Status written = WriteFileAtomically(options.json, StepJson(options, *series));
  return written.ok() ? kExitDone : Fail(written);
}

}  // namespace
}  // namespace reflux

int main(int argc, char** argv) {
  spdlog::set_default_logger(spdlog::stderr_color_mt("reflux-bench-step"));
  CLI::App app("Measures a student's step with targets from memory, teacher and cache.");
  reflux::StepBenchOptions options;
  bool quick = false;
  reflux::AddFlags(app, options, quick);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? reflux::kExitDone : reflux::kExitUsage;
  }
  if (quick) options.rounds = options.steps = 2;
  return reflux::Run(options);
}
