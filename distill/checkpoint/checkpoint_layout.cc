#include "distill/checkpoint/checkpoint_layout.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace reflux {
namespace {

// dataset/camvid.py and cityscapes.py of both code bases: OpenCV's order, 0..255, minus the mean.
Preprocessing CirkdPreprocessing() {
  Preprocessing p;
  p.bgr = true;
  p.divisor = 1;
  p.mean = {104.00698793, 116.66876762, 122.67891434};
  p.deviation = {1, 1, 1};
  return p;
}

// SegDataPreProcessor of the published configs: the same numbers as ImageNet's, of 0..255.
Preprocessing MmsegPreprocessing() {
  Preprocessing p;
  p.divisor = 1;
  p.mean = {123.675, 116.28, 103.53};
  p.deviation = {58.395, 57.12, 57.375};
  return p;
}

std::vector<CheckpointLayout> MakeLayouts() {
  const Preprocessing imagenet;  // RGB, 0..1, ImageNet's mean and deviation
  return {{.name = "cirkd",
           .source = "CIRKD and Af-DCD",
           .marks = {"pretrained.", "head."},
           .preprocessing = CirkdPreprocessing()},
          {.name = "torchvision",
           .source = "torchvision.models.segmentation",
           .marks = {"backbone.", "classifier."},
           .preprocessing = imagenet},
          {.name = "aicsd",
           .source = "AICSD (DeepLabV3+)",
           .marks = {"backbone.", "decoder.", "aspp."},
           .preprocessing = imagenet},
          {.name = "mmseg",
           .source = "mmsegmentation",
           .marks = {"backbone.", "decode_head."},
           .preprocessing = MmsegPreprocessing()}};
}

}  // namespace

const std::vector<CheckpointLayout>& CheckpointLayouts() {
  static const auto* const layouts = new std::vector<CheckpointLayout>(MakeLayouts());
  return *layouts;
}

const CheckpointLayout* RecogniseLayout(const std::vector<std::string>& names) {
  for (const CheckpointLayout& layout : CheckpointLayouts()) {
    const bool fits =
        std::all_of(layout.marks.begin(), layout.marks.end(), [&](const std::string& mark) {
          return std::any_of(names.begin(), names.end(),
                             [&](const std::string& name) { return absl::StartsWith(name, mark); });
        });
    if (fits) return &layout;
  }
  return nullptr;
}

const CheckpointLayout* FindLayout(absl::string_view name) {
  for (const CheckpointLayout& layout : CheckpointLayouts()) {
    if (absl::string_view(layout.name) == name) return &layout;
  }
  return nullptr;
}

std::string LayoutNames() {
  return absl::StrJoin(CheckpointLayouts(), ", ", [](std::string* out, const auto& layout) {
    absl::StrAppend(out, layout.name);
  });
}

bool SamePreprocessing(const Preprocessing& a, const Preprocessing& b) {
  const auto close = [](double x, double y) { return std::abs(x - y) <= 1e-6 * std::abs(x); };
  bool same = a.bgr == b.bgr;
  for (size_t i = 0; i < a.mean.size(); ++i) {
    // (x / divisor - mean) / deviation
    same = same && close(a.divisor * a.deviation[i], b.divisor * b.deviation[i]) &&
           close(a.mean[i] / a.deviation[i], b.mean[i] / b.deviation[i]);
  }
  return same;
}

std::string DescribePreprocessing(const Preprocessing& p) {
  const bool scaled = std::any_of(p.deviation.begin(), p.deviation.end(),
                                  [&](double d) { return d * p.divisor != 1; });
  return absl::StrCat(p.bgr ? "BGR" : "RGB", ", ",
                      scaled ? "mean and deviation" : "mean subtracted");
}

}  // namespace reflux
