// reflux-model eval: measures checkpoints on labelled images.
#include <cstdio>
#include <filesystem>
#include <memory>
#include <opencv2/imgproc.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "cli/model/commands.h"
#include "cli/model/measure.h"
#include "common/base/exit_codes.h"
#include "common/base/status_macros.h"
#include "distill/data/mask_picture.h"

namespace reflux {
namespace {

struct Flags {
  std::vector<std::string> checkpoints, titles;
  std::string data, split = "val", size, masks;
  int64_t max_images = 0, mask_images = 4, batch = 2;
  bool json = false;
};

absl::StatusOr<EvaluationOptions> PlanEvaluation(const Flags& flags) {
  EvaluationOptions options{.batch = flags.batch};
  if (flags.size.empty()) return options;
  const std::vector<std::string> sides = absl::StrSplit(flags.size, 'x');
  if (sides.size() == 2 && absl::SimpleAtoi(sides[0], &options.height) &&
      absl::SimpleAtoi(sides[1], &options.width) && options.height >= 16 && options.width >= 16 &&
      options.height <= View::kMaxSide && options.width <= View::kMaxSide) {
    return options;
  }
  return absl::InvalidArgumentError(absl::StrCat("--size ", flags.size,
                                                 ": expected HEIGHTxWIDTH in pixels, 16 to ",
                                                 View::kMaxSide, ", for example 180x240"));
}

absl::StatusOr<std::vector<std::string>> PlanTitles(const Flags& flags) {
  if (flags.titles.empty()) {
    std::vector<std::string> stems;
    for (const std::string& path : flags.checkpoints) {
      stems.push_back(std::filesystem::path(path).stem().string());
    }
    return stems;
  }
  if (flags.titles.size() == flags.checkpoints.size()) return flags.titles;
  return absl::InvalidArgumentError(absl::StrCat("--titles names ", flags.titles.size(),
                                                 " titles for ", flags.checkpoints.size(),
                                                 " checkpoints"));
}

// Picture and labels of image `index`, at the size of evaluation.
absl::StatusOr<MaskRow> TruthRow(const Dataset& dataset, const EvaluationOptions& options,
                                 int64_t index) {
  REFLUX_ASSIGN_OR_RETURN(const std::string bytes, dataset.ReadImage(index));
  REFLUX_ASSIGN_OR_RETURN(cv::Mat image, DecodeImage(bytes));
  REFLUX_ASSIGN_OR_RETURN(cv::Mat label, dataset.ReadLabel(index));
  const cv::Size size(options.width > 0 ? options.width : image.cols,
                      options.height > 0 ? options.height : image.rows);
  cv::resize(image, image, size, 0, 0, cv::INTER_AREA);
  cv::resize(label, label, size, 0, 0, cv::INTER_NEAREST_EXACT);
  return MaskRow{image, {label}};
}

absl::Status WriteMasks(const Flags& flags, const Dataset& dataset,
                        const EvaluationOptions& options, const std::vector<int64_t>& shown,
                        const std::vector<Measurement>& measurements) {
  std::vector<std::string> titles = {"image", "ground truth"};
  for (const Measurement& m : measurements) titles.push_back(m.title);
  std::vector<MaskRow> rows;
  for (size_t i = 0; i < shown.size(); ++i) {
    REFLUX_ASSIGN_OR_RETURN(MaskRow row, TruthRow(dataset, options, shown[i]));
    for (const Measurement& m : measurements) row.masks.push_back(m.masks[i]);
    rows.push_back(std::move(row));
  }
  REFLUX_ASSIGN_OR_RETURN(const cv::Mat picture,
                          MaskPicture(titles, rows, dataset.class_names(), dataset.palette()));
  return WritePng(flags.masks, picture);
}

absl::Status EvaluateAll(const Flags& flags, const DatasetOptions& data,
                         const EvaluationOptions& options, const std::vector<std::string>& titles) {
  REFLUX_ASSIGN_OR_RETURN(const std::unique_ptr<Dataset> dataset, OpenDataset(data));
  const auto images = static_cast<int64_t>(dataset->samples().size());
  std::vector<int64_t> shown;
  if (!flags.masks.empty()) shown = SpreadIndices(images, flags.mask_images);
  std::vector<Measurement> measurements;
  for (size_t i = 0; i < titles.size(); ++i) {
    REFLUX_ASSIGN_OR_RETURN(Measurement measurement,
                            Measure(flags.checkpoints[i], *dataset, options, shown));
    measurement.title = titles[i];
    measurements.push_back(std::move(measurement));
  }
  const std::vector<std::string>& classes = dataset->class_names();
  const std::string text = flags.json ? FormatJson(measurements, classes, data, images)
                                      : FormatTable(measurements, classes);
  std::fputs(text.c_str(), stdout);
  if (flags.masks.empty()) return absl::OkStatus();
  return WriteMasks(flags, *dataset, options, shown, measurements);
}

int Eval(const Flags& flags) {
  auto data = ParseData(flags.data, flags.split);
  if (!data.ok()) return FailUsage(data.status());
  data->max_images = flags.max_images;
  const auto options = PlanEvaluation(flags);
  if (!options.ok()) return FailUsage(options.status());
  const auto titles = PlanTitles(flags);
  if (!titles.ok()) return FailUsage(titles.status());
  const absl::Status status = EvaluateAll(flags, *data, *options, *titles);
  return status.ok() ? kExitDone : Fail(status);
}

}  // namespace

void AddEvalCommand(CLI::App& app, int* exit_code) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command = app.add_subcommand(
      "eval", "Measures checkpoints on labelled images: mIoU, pixel accuracy, IoU of each class");
  command->add_option("CKPT", flags->checkpoints, "Checkpoints, .safetensors files")->required();
  command->add_option("--data", flags->data, "Data set, e.g. camvid:/data/CamVid")->required();
  command->add_option("--split", flags->split, "Part of the data set")->capture_default_str();
  command->add_option("--size", flags->size,
                      "HEIGHTxWIDTH that images are resized to; their own size unless given");
  command->add_option("--max-images", flags->max_images, "Only the first N images; 0: all")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 40))
      ->capture_default_str();
  command->add_option("--batch", flags->batch, "Images in one forward")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  command->add_flag("--json", flags->json, "Print JSON");
  command->add_option("--masks", flags->masks,
                      "PNG to write: image, ground truth and every checkpoint's prediction");
  command->add_option("--mask-images", flags->mask_images, "Images in that picture")
      ->check(CLI::Range(1, 32))
      ->capture_default_str();
  command
      ->add_option("--titles", flags->titles,
                   "Names of the checkpoints: a,b,c; file stems unless given")
      ->delimiter(',');
  command->callback([flags, exit_code] { *exit_code = Eval(*flags); });
}

}  // namespace reflux
