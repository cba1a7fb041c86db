// One's own data: folders of images and labels (layout.h).
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "distill/data/layout.h"

namespace reflux {
namespace {

namespace fs = std::filesystem;

constexpr int kIgnoreIndex = 255;

fs::path Absolute(const std::string& path) {
  fs::path whole = fs::absolute(path).lexically_normal();
  return whole.has_filename() ? whole : whole.parent_path();
}

// The deepest folder that holds both: paths of samples are relative to one root.
fs::path CommonFolder(const fs::path& a, const fs::path& b) {
  fs::path common;
  for (auto i = a.begin(), j = b.begin(); i != a.end() && j != b.end() && *i == *j; ++i, ++j) {
    common /= *i;
  }
  return common;
}

absl::Status CheckOptions(const DatasetOptions& options) {
  if (options.root.empty() && (options.images.empty() || options.labels.empty()))
    return absl::InvalidArgumentError("data: format folders needs images and labels, or root");
  const auto classes = static_cast<int>(options.classes.size());
  if (classes < 1 || classes > kIgnoreIndex) {
    return absl::InvalidArgumentError(absl::StrCat(
        "data.classes: format folders needs 1 to 255 class names, in the order of their indices; "
        "there are ",
        classes));
  }
  if (options.ignore < 0 || options.ignore > 65535)
    return absl::InvalidArgumentError("data.ignore: a label value is 0 to 65535");
  for (const auto& [value, index] : options.label_map) {
    if (value >= 0 && value <= 65535 && index >= 0 && (index < classes || index == options.ignore))
      continue;
    return absl::InvalidArgumentError(
        absl::StrCat("data.label_map.", value, ": ", index,
                     " is no index of classes and not the ignored value"));
  }
  return absl::OkStatus();
}

LabelValues Values(const DatasetOptions& options) {
  const auto classes = static_cast<int>(options.classes.size());
  if (options.label_map.empty()) return LabelValues::Indices(classes, options.ignore, kIgnoreIndex);
  std::map<int, int> map = {{options.ignore, kIgnoreIndex}};
  for (const auto& [value, index] : options.label_map) {
    map[value] = index < classes ? index : kIgnoreIndex;
  }
  return LabelValues::Map(map, kIgnoreIndex);
}

}  // namespace

absl::StatusOr<Layout> FoldersLayout(const DatasetOptions& options) {
  if (absl::Status status = CheckOptions(options); !status.ok()) return status;
  const bool apart = options.root.empty();
  const fs::path images = Absolute(apart ? options.images : options.root + "/images");
  const fs::path labels = Absolute(apart ? options.labels : options.root + "/labels");
  fs::path root = CommonFolder(images, labels);
  if (!options.unlabelled.empty()) root = CommonFolder(root, Absolute(options.unlabelled));
  Layout layout{.format = "folders",
                .expected =
                    "IMAGES/{train,val}/NAME.jpg with labels LABELS/{train,val}/NAME.png, "
                    "or splits: {train: LIST, val: LIST}",
                .root = root.string(),
                .values = {Values(options)},
                .ignore_index = kIgnoreIndex};
  layout.classes.names = options.classes;
  // 0 is black, as void is in pictures.
  for (size_t i = 0; i < options.classes.size(); ++i) {
    layout.classes.palette.push_back(VocColour(static_cast<int>(i) + 1));
  }
  const auto below = [&](const fs::path& folder) { return folder.lexically_relative(root); };
  ImagePlace place;
  if (options.splits.empty()) {
    place = {.folder = (below(images) / "{}").string(),
             .labels = {{.folder = (below(labels) / "{}").string()}}};
  } else {
    const auto list = options.splits.find(options.split);
    if (list == options.splits.end()) {
      return absl::NotFoundError(
          absl::StrCat("data.splits: there is no split `", options.split, "`"));
    }
    place = {.folder = below(images).string(),
             .labels = {{.folder = below(labels).string()}},
             .lists = {Absolute(list->second).string()}};
  }
  layout.places = {place};
  if (!options.unlabelled.empty() && options.with_unlabelled)
    layout.places.push_back({.folder = below(Absolute(options.unlabelled)).string()});
  return layout;
}

}  // namespace reflux
