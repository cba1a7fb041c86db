// reflux-bench-serving: what serving a teacher costs over running it.
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>

#include "bench/serving_report.h"
#include "bench/serving_rounds.h"
#include "common/base/build_version.h"
#include "common/base/exit_codes.h"
#include "common/base/file.h"

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
  app.add_option("--json", options.json, "File to write the result to");
  app.set_version_flag("--version", std::string(BuildVersion()));
}

int Fail(const absl::Status& status) {
  spdlog::error("reflux-bench-serving: {}", std::string(status.message()));
  return absl::IsInvalidArgument(status) ? kExitUsage : kExitFailed;
}

int Run(ServingBenchOptions options) {
  if (const absl::Status status = options.Resolve(); !status.ok()) return Fail(status);
  const auto rounds = MeasureServing(options);
  if (!rounds.ok()) return Fail(rounds.status());
  std::printf(
      "%s, %s, images of %dx%d, %s in %s, batch %d, %d clients, %d runners of %d threads\n"
      "%d rounds; median [quartiles], ratios within a round\n\n%s",
      options.teacher_model.c_str(), options.precision.c_str(), options.height, options.width,
      options.tap.c_str(), options.codec.c_str(), options.batch, options.clients, options.runners,
      options.threads, options.rounds, ServingTable(options, *rounds).c_str());
  if (options.json.empty()) return kExitDone;
  const absl::Status written = WriteFileAtomically(options.json, ServingJson(options, *rounds));
  return written.ok() ? kExitDone : Fail(written);
}

}  // namespace
}  // namespace reflux

int main(int argc, char** argv) {
  spdlog::set_default_logger(spdlog::stderr_color_mt("reflux-bench-serving"));
  CLI::App app("Measures a served teacher beside the bare loop over its model.");
  reflux::ServingBenchOptions options;
  bool quick = false;
  reflux::AddFlags(app, options, quick);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? reflux::kExitDone : reflux::kExitUsage;
  }
  if (quick) options.rounds = options.batches = options.singles = 2;
  return reflux::Run(options);
}
