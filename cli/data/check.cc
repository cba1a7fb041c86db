#include "cli/data/check.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <memory>
#include <utility>

#include "common/base/exit_codes.h"
#include "common/base/progress_bar.h"
#include "common/base/status_macros.h"
#include "common/spec/job_file.h"
#include "distill/data/mask_picture.h"
#include "job_plan/data_plan.h"

namespace reflux {
namespace {

struct Flags {
  std::string job, overlay;
  std::vector<std::string> overrides, splits = {"train", "val"};
  DatasetOptions data = {.format = ""};
  int64_t overlay_images = 4;
  bool json = false;
};

absl::StatusOr<std::vector<DatasetOptions>> PlanSplits(const Flags& flags) {
  if (flags.job.empty() == flags.data.format.empty())
    return absl::InvalidArgumentError("give a job file, or --format with --root");
  if (!flags.job.empty()) {
    REFLUX_ASSIGN_OR_RETURN(const v1::JobSpec spec, LoadJobFile(flags.job, flags.overrides));
    return std::vector<DatasetOptions>{PlanTrainSplit(spec.data()), PlanValSplit(spec.data())};
  }
  std::vector<DatasetOptions> splits;
  for (const std::string& split : flags.splits) {
    splits.push_back(flags.data);
    splits.back().split = split;
  }
  return splits;
}

CheckedSplit CheckSplit(const DatasetOptions& options, std::unique_ptr<Dataset>& dataset) {
  CheckedSplit checked{.options = options};
  std::vector<std::string> problems;
  absl::StatusOr<std::unique_ptr<Dataset>> opened = OpenDataset(options, &problems);
  if (!opened.ok()) {
    checked.report.problems.emplace_back(opened.status().message());
    return checked;
  }
  dataset = *std::move(opened);
  ProgressBar bar(std::cerr, {.label = "reading " + options.split,
                              .unit = "images",
                              .total = static_cast<int64_t>(dataset->samples().size()),
                              .terminal = isatty(STDERR_FILENO) == 1});
  checked.report = CheckDataset(*dataset, [&](int64_t done) { bar.Update(done); });
  bar.Finish();
  checked.classes = dataset->class_names();
  // What is missing comes before what is broken.
  problems.insert(problems.end(), checked.report.problems.begin(), checked.report.problems.end());
  checked.report.problems = std::move(problems);
  return checked;
}

absl::Status WriteOverlay(const Flags& flags, const Dataset* dataset) {
  if (dataset == nullptr) return absl::NotFoundError("--overlay: there is no image to show");
  REFLUX_ASSIGN_OR_RETURN(const cv::Mat picture, OverlayPicture(*dataset, flags.overlay_images));
  return WritePng(flags.overlay, picture);
}

int Complain(const absl::Status& status, int exit_code) {
  spdlog::error("reflux data check: {}", std::string(status.message()));
  return exit_code;
}

int Check(const Flags& flags) {
  const auto plans = PlanSplits(flags);
  if (!plans.ok()) return Complain(plans.status(), flags.job.empty() ? kExitUsage : kExitFailed);
  std::vector<CheckedSplit> splits;
  std::unique_ptr<Dataset> shown;
  bool sound = true;
  for (const DatasetOptions& options : *plans) {
    std::unique_ptr<Dataset> dataset;
    splits.push_back(CheckSplit(options, dataset));
    sound = sound && splits.back().report.problems.empty();
    if (shown == nullptr) shown = std::move(dataset);
  }
  const std::string text = flags.json ? FormatCheckJson(splits) : FormatCheck(splits);
  std::fputs(text.c_str(), stdout);
  if (!flags.overlay.empty()) {
    const absl::Status status = WriteOverlay(flags, shown.get());
    if (!status.ok()) return Complain(status, kExitFailed);
  }
  return sound ? kExitDone : kExitFailed;
}

// A job says all of it itself; `--set` changes what it says.
void AddWhichData(CLI::App& command, Flags& flags) {
  CLI::Option* job =
      command.add_option("JOB", flags.job, "Job file, whose data section is checked");
  command.add_option("--set", flags.overrides, "Override a field of the job: PATH=VALUE")
      ->expected(1)
      ->take_all()
      ->allow_extra_args(false)
      ->needs(job);
  DatasetOptions& data = flags.data;
  for (CLI::Option* instead : {
           command.add_option("--format", data.format, "Instead of a job: the data set's format"),
           command.add_option("--root", data.root, "Folder of the data set"),
           command.add_option("--images", data.images, "Folder of images (format folders)"),
           command.add_option("--labels", data.labels, "Folder of labels (format folders)"),
           command.add_option("--classes", data.classes, "Class names a,b,c (format folders)")
               ->delimiter(','),
           command.add_option("--ignore", data.ignore, "Ignored label value (format folders)")
               ->capture_default_str(),
           command.add_option("--split", flags.splits, "Splits: a,b,c (default: train,val)")
               ->delimiter(','),
       }) {
    instead->excludes(job);
  }
}

}  // namespace

void AddCheckCommand(CLI::App& app, int* exit_code) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command = app.add_subcommand(
      "check", "Reads every image and label; reports all that is wrong, and the classes' pixels");
  AddWhichData(*command, *flags);
  command->add_option("--overlay", flags->overlay,
                      "PNG to write: images of the first split with their labels laid over");
  command->add_option("--overlay-images", flags->overlay_images, "Images in that picture")
      ->check(CLI::Range(1, 32))
      ->capture_default_str();
  command->add_flag("--json", flags->json, "Print JSON");
  command->callback([flags, exit_code] { *exit_code = Check(*flags); });
}

}  // namespace reflux
