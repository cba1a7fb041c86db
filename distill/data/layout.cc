#include "distill/data/layout.h"

#include <algorithm>
#include <functional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace reflux {
namespace {

constexpr int kVoid = 255;

Layout CamVid() {
  return {.format = "camvid",
          .expected = "ROOT/{train,val}/NAME.jpg with labels ROOT/{trainannot,valannot}/NAME.png",
          .places = {{.folder = "{}", .labels = {{.folder = "{}annot"}}}},
          .values = {LabelValues::Indices(11, kCamVidIgnore, kCamVidIgnore)},
          .classes = CamVidClasses(),
          .ignore_index = kCamVidIgnore};
}

// cityscapesScripts' labels.py: the ids that are evaluated, in the order of their trainIds.
std::map<int, int> CityscapesIds() {
  std::map<int, int> map;
  for (int id = 0; id <= 33; ++id) map[id] = kVoid;
  map[kVoid] = kVoid;  // the licence plate's -1
  for (size_t i = 0; i < CityscapesLabelIds().size(); ++i) {
    map[CityscapesLabelIds()[i]] = static_cast<int>(i);
  }
  return map;
}

Layout Cityscapes() {
  return {
      .format = "cityscapes",
      .expected =
          "ROOT/leftImg8bit/{train,val,test}/CITY/NAME_leftImg8bit.png with labels "
          "ROOT/gtFine/{train,val,test}/CITY/NAME_gtFine_labelIds.png or "
          "NAME_gtFine_labelTrainIds.png",
      .places = {{.folder = "leftImg8bit/{}",
                  .suffix = "_leftImg8bit",
                  .labels = {{.folder = "gtFine/{}", .suffix = "_gtFine_labelIds.png"},
                             {.folder = "gtFine/{}",
                              .suffix = "_gtFine_labelTrainIds.png",
                              .values = 1}}}},
      .values = {LabelValues::Map(CityscapesIds(), kVoid), LabelValues::Indices(19, kVoid, kVoid)},
      .classes = CityscapesClasses()};
}

Layout Voc() {
  return {
      .format = "voc",
      .expected =
          "ROOT/JPEGImages/NAME.jpg with labels ROOT/SegmentationClassAug/NAME.png or "
          "ROOT/SegmentationClass/NAME.png, and names in "
          "ROOT/ImageSets/Segmentation/SPLIT.txt or ImageSets/SegmentationAug/SPLIT.txt "
          "(ROOT is the folder VOC2012)",
      .places = {{.folder = "JPEGImages",
                  .labels = {{.folder = "SegmentationClassAug"}, {.folder = "SegmentationClass"}},
                  .lists = {"ImageSets/Segmentation/{}.txt", "ImageSets/SegmentationAug/{}.txt"}}},
      .values = {LabelValues::Indices(21, kVoid, kVoid)},
      .classes = VocClasses()};
}

Layout Ade20k() {
  std::map<int, int> map = {{0, kVoid}};
  for (int value = 1; value <= 150; ++value) map[value] = value - 1;
  return {.format = "ade20k",
          .expected =
              "ROOT/images/{training,validation}/NAME.jpg with labels "
              "ROOT/annotations/{training,validation}/NAME.png (ROOT is the folder "
              "ADEChallengeData2016)",
          .places = {{.folder = "images/{}",
                      .labels = {{.folder = "annotations/{}"}},
                      .splits = {{"train", "training"}, {"val", "validation"}}}},
          .values = {LabelValues::Map(map, kVoid)},
          .classes = Ade20kClasses()};
}

// Files of the 164K set hold id - 1; of the 182 ids eleven never occur.
std::map<int, int> CocoStuffValues() {
  constexpr int kUnusedIds[] = {12, 26, 29, 30, 45, 66, 68, 69, 71, 83, 91};
  std::map<int, int> map = {{kVoid, kVoid}};
  int index = 0;
  for (int id = 1; id <= 182; ++id) {
    if (std::find(std::begin(kUnusedIds), std::end(kUnusedIds), id) != std::end(kUnusedIds))
      continue;
    map[id - 1] = index++;
  }
  return map;
}

Layout CocoStuff() {
  return {.format = "coco_stuff",
          .expected =
              "ROOT/images/{train2017,val2017}/NAME.jpg with labels in "
              "ROOT/annotations/{train2017,val2017} or ROOT/stuffthingmaps/..., NAME.png "
              "(ids) or NAME_labelTrainIds.png (0..170)",
          .places = {{.folder = "images/{}",
                      .labels = {{.folder = "annotations/{}"},
                                 {.folder = "annotations/{}",
                                  .suffix = "_labelTrainIds.png",
                                  .values = 1},
                                 {.folder = "stuffthingmaps/{}"}},
                      .splits = {{"train", "train2017"}, {"val", "val2017"}}}},
          .values = {LabelValues::Map(CocoStuffValues(), kVoid),
                     LabelValues::Indices(171, kVoid, kVoid)},
          .classes = CocoStuffClasses()};
}

using MakeLayout = std::function<absl::StatusOr<Layout>(const DatasetOptions&)>;

const std::vector<std::pair<std::string, MakeLayout>>& Formats() {
  static const auto& formats = *new std::vector<std::pair<std::string, MakeLayout>>{
      {"camvid", [](const DatasetOptions&) { return CamVid(); }},
      {"cityscapes", [](const DatasetOptions&) { return Cityscapes(); }},
      {"voc", [](const DatasetOptions&) { return Voc(); }},
      {"ade20k", [](const DatasetOptions&) { return Ade20k(); }},
      {"coco_stuff", [](const DatasetOptions&) { return CocoStuff(); }},
      {"folders", FoldersLayout}};
  return formats;
}

}  // namespace

const std::vector<int>& CityscapesLabelIds() {
  static const auto& ids = *new std::vector<int>{7,  8,  11, 12, 13, 17, 19, 20, 21, 22,
                                                 23, 24, 25, 26, 27, 28, 31, 32, 33};
  return ids;
}

const std::vector<std::string>& DataFormats() {
  static const auto& names = *[] {
    auto* list = new std::vector<std::string>;
    for (const auto& [name, unused] : Formats()) list->push_back(name);
    return list;
  }();
  return names;
}

absl::StatusOr<Layout> LayoutOf(const DatasetOptions& options) {
  for (const auto& [name, make] : Formats()) {
    if (name != options.format) continue;
    absl::StatusOr<Layout> layout = make(options);
    if (layout.ok() && layout->root.empty()) layout->root = options.root;
    return layout;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("data.format: unknown format '", options.format,
                   "' (available: ", absl::StrJoin(DataFormats(), ", "), ")"));
}

}  // namespace reflux
