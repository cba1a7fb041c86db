// reflux-scenes: writes a small labelled data set of generated street scenes.
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <string>

#include "common/base/build_version.h"
#include "common/base/exit_codes.h"
#include "distill/data/scenes.h"

namespace reflux {
namespace {

struct Flags {
  std::string out;
  SceneSetOptions scenes;
};

void AddFlags(CLI::App& app, Flags& flags) {
  app.add_option("--out", flags.out, "Folder for the data set; created if missing")->required();
  app.add_option("--train", flags.scenes.train, "Number of training images")->capture_default_str();
  app.add_option("--val", flags.scenes.val, "Number of validation images")->capture_default_str();
  app.add_option("--height", flags.scenes.height, "Height of the images in pixels")
      ->capture_default_str();
  app.add_option("--width", flags.scenes.width, "Width of the images in pixels")
      ->capture_default_str();
  app.add_option("--seed", flags.scenes.seed, "The same seed gives the same images")
      ->capture_default_str();
  app.set_version_flag("--version", std::string(BuildVersion()));
  app.footer(
      "Writes images and labels of CamVid's 11 classes in CamVid's layout; use it in a job as\n"
      "  data: {format: camvid, root: OUT}\n"
      "A folder that already holds the same scenes is left alone.\n"
      "Exit codes: 0 done, 1 failed, 2 wrong usage.");
}

int Run(const Flags& flags) {
  if (absl::Status status = flags.scenes.Validate(); !status.ok()) {
    spdlog::error("reflux-scenes: --{}", std::string(status.message()));
    return kExitUsage;
  }
  const auto report = WriteScenes(flags.out, flags.scenes, [](int64_t done, int64_t total) {
    if (done % 100 == 0 && done < total) spdlog::info("{} of {} scenes", done, total);
  });
  if (!report.ok()) {
    spdlog::error("reflux-scenes: {}", std::string(report.status().message()));
    return kExitFailed;
  }
  if (report->was_complete) {
    spdlog::info("{} already holds these scenes: nothing to do", flags.out);
  } else {
    spdlog::info("{}: {} training and {} validation images of {}x{} (height x width), {} drawn now",
                 flags.out, flags.scenes.train, flags.scenes.val, flags.scenes.height,
                 flags.scenes.width, report->written);
  }
  return kExitDone;
}

}  // namespace
}  // namespace reflux

int main(int argc, char** argv) {
  CLI::App app("Writes a small labelled data set of generated street scenes, for trying Reflux.");
  reflux::Flags flags;
  reflux::AddFlags(app, flags);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? reflux::kExitDone : reflux::kExitUsage;
  }
  return reflux::Run(flags);
}
