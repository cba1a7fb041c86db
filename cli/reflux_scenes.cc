// reflux-scenes: writes a small labelled data set of generated street scenes, or of textures.
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <string>

#include "common/base/build_version.h"
#include "common/base/exit_codes.h"
#include "distill/data/scenes.h"
#include "distill/data/textures.h"

namespace reflux {
namespace {

struct Flags {
  std::string out;
  std::string format = "camvid";
  SceneSetOptions scenes;
};

void AddFlags(CLI::App& app, Flags& flags) {
  app.add_option("--out", flags.out, "Folder for the data set; created if missing")->required();
  app.add_option("--format", flags.format,
                 "camvid: street scenes with labelled pixels; cifar10, cifar100: 32x32 textures "
                 "with labelled images")
      ->check(CLI::IsMember({"camvid", "cifar10", "cifar100"}))
      ->capture_default_str();
  app.add_option("--train", flags.scenes.train, "Number of training images")->capture_default_str();
  app.add_option("--val", flags.scenes.val, "Number of validation images")->capture_default_str();
  app.add_option("--height", flags.scenes.height, "Height of the images in pixels (camvid)")
      ->capture_default_str();
  app.add_option("--width", flags.scenes.width, "Width of the images in pixels (camvid)")
      ->capture_default_str();
  app.add_option("--seed", flags.scenes.seed, "The same seed gives the same images")
      ->capture_default_str();
  app.set_version_flag("--version", std::string(BuildVersion()));
  app.footer(
      "Writes images and labels of CamVid's 11 classes in CamVid's layout, or textures in CIFAR's\n"
      "binary files (100 classes, of cifar10 10); use it in a job as\n"
      "  data: {format: camvid, root: OUT}\n"
      "A folder that already holds the same set is left alone.\n"
      "Exit codes: 0 done, 1 failed, 2 wrong usage.");
}

int RunTextures(const Flags& flags) {
  const TextureSetOptions options{.format = flags.format,
                                  .train = flags.scenes.train,
                                  .test = flags.scenes.val,
                                  .seed = flags.scenes.seed};
  if (absl::Status status = options.Validate(); !status.ok()) {
    spdlog::error("reflux-scenes: --{}", std::string(status.message()));
    return kExitUsage;
  }
  const auto written = WriteTextures(flags.out, options, [](int64_t done, int64_t total) {
    if (done % 5000 == 0 && done < total) spdlog::info("{} of {} textures", done, total);
  });
  if (!written.ok()) {
    spdlog::error("reflux-scenes: {}", std::string(written.status().message()));
    return kExitFailed;
  }
  spdlog::info("{}: {} training and {} test images, format {}{}", flags.out, options.train,
               options.test, options.format, *written ? "" : ", there already");
  return kExitDone;
}

int Run(const Flags& flags) {
  if (flags.format != "camvid") return RunTextures(flags);
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
  CLI::App app(
      "Writes a small labelled data set of generated street scenes, or textures, for trying "
      "Reflux.");
  reflux::Flags flags;
  reflux::AddFlags(app, flags);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? reflux::kExitDone : reflux::kExitUsage;
  }
  return reflux::Run(flags);
}
