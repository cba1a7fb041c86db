// reflux-model eval: measures checkpoints on labelled images.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <opencv2/imgproc.hpp>
#include <set>
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
#include "distill/evaluation/agreement.h"
#include "distill/evaluation/prediction_files.h"

namespace reflux {
namespace {

struct Flags {
  std::vector<std::string> checkpoints, titles;
  std::string data, split = "val", size, slide, stride, masks, save, form = "colours";
  std::vector<double> scales;
  int64_t max_images = 0, mask_images = 4, batch = 2;
  bool json = false, flip = false, without_labels = false;
  NetworkFlags network;
};

struct Plan {
  DatasetOptions data;
  EvaluationOptions evaluation;
  InferenceOptions inference;
  std::vector<std::string> titles;
  PredictionForm form = PredictionForm::kColours;
};

// "HEIGHTxWIDTH" of `flag`; nothing when it is empty.
absl::Status ParseSize(const std::string& flag, const std::string& text, int32_t least,
                       int32_t* height, int32_t* width) {
  if (text.empty()) return absl::OkStatus();
  const std::vector<std::string> sides = absl::StrSplit(text, 'x');
  if (sides.size() == 2 && absl::SimpleAtoi(sides[0], height) &&
      absl::SimpleAtoi(sides[1], width) && *height >= least && *width >= least &&
      *height <= View::kMaxSide && *width <= View::kMaxSide) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(flag, " ", text,
                                                 ": expected HEIGHTxWIDTH in pixels, ", least,
                                                 " to ", View::kMaxSide, ", for example 180x240"));
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
  REFLUX_ASSIGN_OR_RETURN(LabelledImage sample, ReadLabelledImage(dataset, index));
  cv::Mat &image = sample.image, &label = sample.label;
  const cv::Size size(options.width > 0 ? options.width : image.cols,
                      options.height > 0 ? options.height : image.rows);
  cv::resize(image, image, size, 0, 0, cv::INTER_AREA);
  cv::resize(label, label, size, 0, 0, cv::INTER_NEAREST_EXACT);
  return MaskRow{image, {label}};
}

absl::StatusOr<Plan> MakePlan(const Flags& flags) {
  Plan plan;
  REFLUX_ASSIGN_OR_RETURN(plan.data, ParseData(flags.data, flags.split));
  if (flags.max_images > 0) plan.data.max_images = flags.max_images;
  plan.data.without_labels = flags.without_labels;
  plan.evaluation.batch = flags.batch;
  InferenceOptions& inference = plan.inference;
  REFLUX_RETURN_IF_ERROR(
      ParseSize("--size", flags.size, 16, &plan.evaluation.height, &plan.evaluation.width));
  REFLUX_RETURN_IF_ERROR(
      ParseSize("--slide", flags.slide, 16, &inference.window_height, &inference.window_width));
  REFLUX_RETURN_IF_ERROR(
      ParseSize("--stride", flags.stride, 1, &inference.stride_height, &inference.stride_width));
  inference.scales = flags.scales;
  inference.flip = flags.flip;
  REFLUX_RETURN_IF_ERROR(inference.Validate());
  REFLUX_ASSIGN_OR_RETURN(plan.form, ParsePredictionForm(flags.form));
  REFLUX_ASSIGN_OR_RETURN(plan.titles, PlanTitles(flags));
  const std::set<std::string> distinct(plan.titles.begin(), plan.titles.end());
  if (!flags.save.empty() && distinct.size() < plan.titles.size())
    return absl::InvalidArgumentError("--save: checkpoints of one name need --titles a,b");
  return plan;
}

// What becomes of the predictions of one checkpoint after the other.
class Predictions {
 public:
  Predictions(const Flags& flags, const Plan& plan, const Dataset& dataset)
      : flags_(flags), plan_(plan), dataset_(dataset) {
    if (!flags.masks.empty())
      shown_ = SpreadIndices(static_cast<int64_t>(dataset.samples().size()), flags.mask_images);
  }

  absl::Status Take(size_t checkpoint, int64_t index, const cv::Mat& classes) {
    if (std::find(shown_.begin(), shown_.end(), index) != shown_.end()) {
      masks_.resize(checkpoint + 1);
      masks_[checkpoint].push_back(classes.clone());
    }
    if (!flags_.save.empty()) {
      REFLUX_RETURN_IF_ERROR(
          WritePrediction((std::filesystem::path(flags_.save) / plan_.titles[checkpoint]).string(),
                          plan_.form, dataset_, index, classes));
    }
    if (plan_.titles.size() == 1) return absl::OkStatus();
    return checkpoint == 0 ? agreement_.AddReference(classes) : agreement_.Compare(index, classes);
  }

  // Share of pixels where the checkpoint that was taken last says what the first does.
  double TakeAgreement(size_t checkpoint) {
    const double share = checkpoint == 0 ? 1 : agreement_.Share();
    agreement_.Reset();
    return share;
  }

  absl::Status WriteMasks() const;

 private:
  const Flags& flags_;
  const Plan& plan_;
  const Dataset& dataset_;
  std::vector<int64_t> shown_;
  std::vector<std::vector<cv::Mat>> masks_;  // by checkpoint
  Agreement agreement_;
};

absl::Status Predictions::WriteMasks() const {
  if (flags_.masks.empty()) return absl::OkStatus();
  std::vector<std::string> titles = {"image", "ground truth"};
  titles.insert(titles.end(), plan_.titles.begin(), plan_.titles.end());
  std::vector<MaskRow> rows;
  for (size_t i = 0; i < shown_.size(); ++i) {
    REFLUX_ASSIGN_OR_RETURN(MaskRow row, TruthRow(dataset_, plan_.evaluation, shown_[i]));
    for (const std::vector<cv::Mat>& masks : masks_) row.masks.push_back(masks[i]);
    rows.push_back(std::move(row));
  }
  REFLUX_ASSIGN_OR_RETURN(const cv::Mat picture,
                          MaskPicture(titles, rows, dataset_.class_names(), dataset_.palette()));
  return WritePng(flags_.masks, picture);
}

// What is printed. Images without labels have nothing to measure but the agreement of several.
std::string Report(const Flags& flags, const Plan& plan, const Dataset& dataset,
                   const std::vector<Measurement>& measurements) {
  const auto images = static_cast<int64_t>(dataset.samples().size());
  if (flags.json) return FormatJson(measurements, dataset.class_names(), plan.data, images);
  std::string text = flags.without_labels && measurements.size() == 1
                         ? absl::StrCat(images, " images, no labels: nothing to measure\n")
                         : FormatTable(measurements, dataset.class_names());
  if (!flags.save.empty()) absl::StrAppend(&text, "predictions: ", flags.save, "\n");
  return text;
}

absl::Status EvaluateAll(const Flags& flags, const Plan& plan) {
  REFLUX_ASSIGN_OR_RETURN(const std::unique_ptr<Dataset> dataset, OpenDataset(plan.data));
  REFLUX_RETURN_IF_ERROR(CheckPredictionForm(plan.form, *dataset));
  if (dataset->task() == Task::kClassification &&
      (!flags.masks.empty() || !flags.save.empty() || !plan.inference.IsPlain())) {
    return absl::InvalidArgumentError(
        absl::StrCat("--masks, --save, --slide, --scales and --flip are for segmentation; ",
                     plan.data.format, " labels whole images"));
  }
  Predictions predictions(flags, plan, *dataset);
  std::vector<Measurement> measurements;
  for (size_t i = 0; i < plan.titles.size(); ++i) {
    REFLUX_ASSIGN_OR_RETURN(Measurement measurement,
                            Measure(flags.checkpoints[i], flags.network, *dataset, plan.evaluation,
                                    plan.inference, [&](int64_t index, const cv::Mat& mask) {
                                      return predictions.Take(i, index, mask);
                                    }));
    measurement.title = plan.titles[i];
    measurement.agreement = predictions.TakeAgreement(i);
    measurements.push_back(std::move(measurement));
  }
  std::fputs(Report(flags, plan, *dataset, measurements).c_str(), stdout);
  return predictions.WriteMasks();
}

int Eval(const Flags& flags) {
  if (const absl::Status usable = CheckNetworkFlags(flags.network, flags.checkpoints);
      !usable.ok()) {
    return FailUsage(usable);
  }
  const auto plan = MakePlan(flags);
  if (!plan.ok()) return FailUsage(plan.status());
  const absl::Status status = EvaluateAll(flags, *plan);
  return status.ok() ? kExitDone : Fail(status);
}

}  // namespace

void AddEvalCommand(CLI::App& app, int* exit_code) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command = app.add_subcommand(
      "eval",
      "Measures checkpoints on labelled images: mIoU, pixel accuracy, IoU of each class; of "
      "classifiers top-1 and top-5 accuracy");
  command->add_option("CKPT", flags->checkpoints, "Checkpoints, of any kind that inspect reads")
      ->required();
  command->add_option("--data", flags->data, "Data set, e.g. camvid:/data/CamVid, or a job file")
      ->required();
  command->add_option("--split", flags->split, "Part of the data set")->capture_default_str();
  command->add_option("--size", flags->size,
                      "HEIGHTxWIDTH that images are resized to; their own size unless given");
  command->add_option("--slide", flags->slide,
                      "HEIGHTxWIDTH of a window that slides over the image; whole unless given");
  command->add_option("--stride", flags->stride,
                      "HEIGHTxWIDTH of the window's steps; two thirds of it unless given");
  command->add_option("--scales", flags->scales, "Scales to average over: 0.75,1,1.25")
      ->delimiter(',');
  command->add_flag("--flip", flags->flip, "Average with the mirrored image");
  command->add_option("--save", flags->save,
                      "Folder to write every prediction to, below the checkpoint's title");
  command
      ->add_option("--as", flags->form,
                   "Form of these: classes, colours, overlay, cityscapes, voc (the servers' own)")
      ->capture_default_str();
  command->add_flag("--no-labels", flags->without_labels,
                    "Predict only: the images need no labels, nothing is measured");
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
  AddNetworkFlags(*command, flags->network);
  command->callback([flags, exit_code] { *exit_code = Eval(*flags); });
}

}  // namespace reflux
