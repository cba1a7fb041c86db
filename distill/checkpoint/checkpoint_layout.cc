#include "distill/checkpoint/checkpoint_layout.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

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
           .preprocessing = imagenet}};
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

}  // namespace reflux
