// Reports of reflux-data check (check.h).
#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/data/check.h"

namespace reflux {
namespace {

std::string Where(const DatasetOptions& options) {
  return options.root.empty() ? options.images : options.root;
}

std::string Sizes(const DataReport& report) {
  constexpr size_t kShown = 8;
  std::string text;
  size_t shown = 0;
  for (const auto& [size, images] : report.sizes) {
    if (shown++ == kShown) break;
    absl::StrAppend(&text, text.empty() ? "" : ", ", size.first, "x", size.second, " (", images,
                    ")");
  }
  if (report.sizes.size() > kShown)
    absl::StrAppend(&text, " and ", report.sizes.size() - kShown, " more");
  return text;
}

std::string ImagesOfClasses(const CheckedSplit& split) {
  size_t first = 7;
  for (const std::string& name : split.classes) first = std::max(first, name.size());
  std::string text = absl::StrFormat("  %-*s %8s\n", first, "class", "images");
  for (size_t c = 0; c < split.classes.size(); ++c) {
    const int64_t images = split.report.class_images[c];
    absl::StrAppend(&text, absl::StrFormat("  %-*s %8d%s\n", first, split.classes[c], images,
                                           images == 0 ? "  (occurs nowhere)" : ""));
  }
  return text;
}

std::string ClassTableText(const CheckedSplit& split) {
  if (split.report.task == Task::kClassification) return ImagesOfClasses(split);
  size_t first = 7;
  for (const std::string& name : split.classes) first = std::max(first, name.size());
  const std::vector<int64_t>& pixels = split.report.class_pixels;
  const int64_t labelled = std::accumulate(pixels.begin(), pixels.end(), int64_t{0});
  std::string text =
      absl::StrFormat("  %-*s %14s %8s %8s\n", first, "class", "pixels", "share", "images");
  for (size_t c = 0; c < split.classes.size(); ++c) {
    absl::StrAppend(
        &text,
        absl::StrFormat("  %-*s %14d %6.2f %% %8d%s\n", first, split.classes[c], pixels[c],
                        100.0 * pixels[c] / std::max<int64_t>(1, labelled),
                        split.report.class_images[c], pixels[c] == 0 ? "  (occurs nowhere)" : ""));
  }
  return text + absl::StrFormat("  %-*s %14d\n", first, "ignored", split.report.ignored_pixels);
}

}  // namespace

std::string FormatCheck(const std::vector<CheckedSplit>& splits) {
  std::string text;
  for (const CheckedSplit& split : splits) {
    const DataReport& report = split.report;
    absl::StrAppend(&text, split.options.format, " ", Where(split.options), ", ",
                    split.options.split, ": ", report.images, " sound images");
    if (report.unlabelled > 0) absl::StrAppend(&text, ", ", report.unlabelled, " without label");
    text += "\n";
    if (!report.sizes.empty())
      absl::StrAppend(&text, "  height x width (images): ", Sizes(report), "\n");
    if (!split.classes.empty()) text += ClassTableText(split);
    absl::StrAppend(&text, "  problems: ", report.problems.size(), "\n");
    for (const std::string& problem : report.problems)
      absl::StrAppend(&text, "    ", problem, "\n");
  }
  return text;
}

std::string FormatCheckJson(const std::vector<CheckedSplit>& splits) {
  using Json = nlohmann::ordered_json;
  Json all = Json::array();
  for (const CheckedSplit& split : splits) {
    const DataReport& report = split.report;
    Json classes = Json::array(), sizes = Json::array();
    for (size_t c = 0; c < split.classes.size(); ++c) {
      classes.push_back({{"name", split.classes[c]}, {"images", report.class_images[c]}});
      if (report.task == Task::kSegmentation) classes.back()["pixels"] = report.class_pixels[c];
    }
    for (const auto& [size, images] : report.sizes) {
      sizes.push_back({{"height", size.first}, {"width", size.second}, {"images", images}});
    }
    all.push_back({{"format", split.options.format},
                   {"root", Where(split.options)},
                   {"split", split.options.split},
                   {"images", report.images},
                   {"unlabelled", report.unlabelled},
                   {"ignored_pixels", report.ignored_pixels},
                   {"classes", classes},
                   {"sizes", sizes},
                   {"problems", report.problems}});
  }
  // A path need not be UTF-8.
  return all.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace reflux
