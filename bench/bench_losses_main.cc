// reflux-bench-losses: what a loss costs, beside the formula written down in LibTorch and in
// Python.
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "absl/status/statusor.h"
#include "bench/loss_rounds.h"
#include "common/base/build_version.h"
#include "common/base/exit_codes.h"
#include "common/base/file.h"

namespace reflux {
namespace {

void AddFlags(CLI::App& app, LossBenchOptions& options) {
  app.add_option("--rounds", options.rounds, "Rounds; every form runs once in each")
      ->capture_default_str();
  app.add_option("--batch", options.batch, "Images")->capture_default_str();
  app.add_option("--height", options.height, "Height of the maps")->capture_default_str();
  app.add_option("--width", options.width, "Width of the maps")->capture_default_str();
  app.add_option("--classes", options.classes, "Channels of the logits")->capture_default_str();
  app.add_option("--reference", options.reference,
                 "\"PYTHON bench/losses_reference.py\": a Python that has torch; adds its column");
  app.add_option("--json", options.json, "File to write the result to");
  app.set_version_flag("--version", std::string(BuildVersion()));
}

int Fail(const absl::Status& status) {
  spdlog::error("reflux-bench-losses: {}", std::string(status.message()));
  return absl::IsInvalidArgument(status) ? kExitUsage : kExitFailed;
}

int Run(const LossBenchOptions& options) {
  if (const absl::Status status = options.Validate(); !status.ok()) return Fail(status);
  std::string scratch = std::filesystem::temp_directory_path() / "reflux-bench-losses-XXXXXX";
  if (mkdtemp(scratch.data()) == nullptr)
    return Fail(absl::InternalError("no temporary folder: " + scratch));
  const auto series = MeasureLosses(options, scratch);
  std::filesystem::remove_all(scratch);
  if (!series.ok()) return Fail(series.status());
  std::printf("%d images, maps of %dx%d, %d classes, float32, %d threads, %d rounds\n\n%s",
              static_cast<int>(options.batch), static_cast<int>(options.height),
              static_cast<int>(options.width), static_cast<int>(options.classes),
              torch::get_num_threads(), options.rounds, LossTable(*series).c_str());
  if (options.json.empty()) return kExitDone;
  const absl::Status written = WriteFileAtomically(options.json, LossJson(options, *series));
  return written.ok() ? kExitDone : Fail(written);
}

}  // namespace
}  // namespace reflux

int main(int argc, char** argv) {
  spdlog::set_default_logger(spdlog::stderr_color_mt("reflux-bench-losses"));
  CLI::App app("Measures forward and backward of every loss, with the memory they take.");
  reflux::LossBenchOptions options;
  reflux::AddFlags(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? reflux::kExitDone : reflux::kExitUsage;
  }
  return reflux::Run(options);
}
