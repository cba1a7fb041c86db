#include "distill/evaluation/prediction_files.h"

#include <filesystem>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/file.h"
#include "common/base/status_macros.h"
#include "distill/data/class_tables.h"
#include "distill/data/mask_picture.h"
#include "distill/data/png_palette.h"

namespace reflux {
namespace {

namespace fs = std::filesystem;

cv::Mat CityscapesIds(const cv::Mat& classes) {
  cv::Mat table(1, 256, CV_8UC1, cv::Scalar(0));
  const std::vector<int>& ids = CityscapesLabelIds();
  for (size_t i = 0; i < ids.size(); ++i) {
    table.at<uint8_t>(static_cast<int>(i)) = static_cast<uint8_t>(ids[i]);
  }
  cv::Mat mapped;
  cv::LUT(classes, table, mapped);
  return mapped;
}

absl::StatusOr<std::string> Encode(PredictionForm form, const Dataset& dataset,
                                   const cv::Mat& image, const cv::Mat& classes) {
  switch (form) {
    case PredictionForm::kClasses:
      return EncodePng(classes);
    case PredictionForm::kColours:
      return EncodePng(ColourMask(classes, dataset.palette()));
    case PredictionForm::kOverlay:
      return EncodePng(Overlay(image, classes, dataset.palette()));
    case PredictionForm::kCityscapes:
      return EncodePng(CityscapesIds(classes));
    case PredictionForm::kVoc:
      return EncodePalettePng(classes, VocClasses().palette);
  }
  return absl::InvalidArgumentError("unknown form of predictions");
}

}  // namespace

absl::StatusOr<PredictionForm> ParsePredictionForm(const std::string& name) {
  if (name == "classes") return PredictionForm::kClasses;
  if (name == "colours") return PredictionForm::kColours;
  if (name == "overlay") return PredictionForm::kOverlay;
  if (name == "cityscapes") return PredictionForm::kCityscapes;
  if (name == "voc") return PredictionForm::kVoc;
  return absl::InvalidArgumentError(absl::StrCat(
      "'", name, "' is no form of predictions; one of classes, colours, overlay, cityscapes, voc"));
}

absl::Status CheckPredictionForm(PredictionForm form, const Dataset& dataset) {
  const ClassTable* wanted = nullptr;
  if (form == PredictionForm::kCityscapes) wanted = &CityscapesClasses();
  if (form == PredictionForm::kVoc) wanted = &VocClasses();
  if (wanted == nullptr || dataset.class_names() == wanted->names) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("the ", wanted == &VocClasses() ? "voc" : "cityscapes",
                   " form is for predictions of its own classes, not those of ", dataset.format()));
}

absl::Status WritePrediction(const std::string& folder, PredictionForm form, const Dataset& dataset,
                             size_t index, const cv::Mat& classes) {
  REFLUX_ASSIGN_OR_RETURN(const std::string bytes, dataset.ReadImage(index));
  REFLUX_ASSIGN_OR_RETURN(const cv::Mat image, DecodeImage(bytes));
  cv::Mat own;
  cv::resize(classes, own, image.size(), 0, 0, cv::INTER_NEAREST_EXACT);
  REFLUX_ASSIGN_OR_RETURN(const std::string png, Encode(form, dataset, image, own));
  const fs::path path =
      (fs::path(folder) / dataset.samples()[index].image.path).replace_extension(".png");
  std::error_code error;
  fs::create_directories(path.parent_path(), error);
  if (error) return ErrnoStatus(error.value(), "cannot create", path.parent_path().string());
  return WriteFileAtomically(path.string(), png);
}

}  // namespace reflux
