// Tables of measurements (measure.h).
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/model/measure.h"

namespace reflux {
namespace {

std::string Percent(double fraction) {
  return std::isnan(fraction) ? "-" : absl::StrFormat("%.1f", 100 * fraction);
}

// JSON has no NaN: null is what no label speaks of.
nlohmann::ordered_json JsonPercent(double fraction) {
  return std::isnan(fraction) ? nlohmann::ordered_json() : nlohmann::ordered_json(100 * fraction);
}

}  // namespace

std::string FormatTable(const std::vector<Measurement>& measurements,
                        const std::vector<std::string>& classes) {
  size_t first = std::string("mIoU, absent as 0").size();
  for (const std::string& name : classes) first = std::max(first, name.size());
  std::string table = absl::StrFormat("%-*s", first, "%");
  const auto add_row = [&](const std::string& name, const auto& cell) {
    absl::StrAppend(&table, absl::StrFormat("\n%-*s", first, name));
    for (const Measurement& m : measurements) {
      absl::StrAppend(&table,
                      absl::StrFormat("  %*s", std::max<size_t>(6, m.title.size()), cell(m)));
    }
  };
  for (const Measurement& m : measurements) {
    absl::StrAppend(&table, absl::StrFormat("  %*s", std::max<size_t>(6, m.title.size()), m.title));
  }
  if (!measurements.empty() && measurements[0].classification) {
    add_row("top-1", [](const Measurement& m) { return Percent(m.pixel_accuracy); });
    add_row("top-5", [](const Measurement& m) { return Percent(m.top_five); });
    if (measurements.size() > 1)
      add_row("as the first", [](const Measurement& m) { return Percent(m.agreement); });
    return table + "\n";
  }
  add_row("mIoU", [](const Measurement& m) { return Percent(m.miou); });
  add_row("mIoU, absent as 0", [](const Measurement& m) { return Percent(m.miou_published); });
  add_row("pixel accuracy", [](const Measurement& m) { return Percent(m.pixel_accuracy); });
  if (measurements.size() > 1)
    add_row("as the first", [](const Measurement& m) { return Percent(m.agreement); });
  for (size_t c = 0; c < classes.size(); ++c) {
    add_row(classes[c], [c](const Measurement& m) { return Percent(m.class_iou[c]); });
  }
  return table + "\n";
}

std::string FormatJson(const std::vector<Measurement>& measurements,
                       const std::vector<std::string>& classes, const DatasetOptions& data,
                       int64_t images) {
  nlohmann::ordered_json all = {{"data", data.format + ":" + data.root},
                                {"split", data.split},
                                {"images", images},
                                {"unit", "percent"},
                                {"checkpoints", nlohmann::ordered_json::array()}};
  for (const Measurement& m : measurements) {
    if (m.classification) {
      all["checkpoints"].push_back({{"path", m.path},
                                    {"title", m.title},
                                    {"architecture", m.architecture},
                                    {"top1", JsonPercent(m.pixel_accuracy)},
                                    {"top5", JsonPercent(m.top_five)},
                                    {"agreement_with_first", JsonPercent(m.agreement)}});
      continue;
    }
    nlohmann::ordered_json iou = nlohmann::ordered_json::object();
    for (size_t c = 0; c < classes.size(); ++c) {
      iou[classes[c]] = JsonPercent(m.class_iou[c]);
    }
    all["checkpoints"].push_back({{"path", m.path},
                                  {"title", m.title},
                                  {"architecture", m.architecture},
                                  {"miou", JsonPercent(m.miou)},
                                  {"miou_published", JsonPercent(m.miou_published)},
                                  {"pixel_accuracy", JsonPercent(m.pixel_accuracy)},
                                  {"agreement_with_first", JsonPercent(m.agreement)},
                                  {"class_iou", iou}});
  }
  return all.dump(2) + "\n";
}

}  // namespace reflux
