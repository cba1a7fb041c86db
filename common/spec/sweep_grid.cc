#include "common/spec/sweep_grid.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/base/status_macros.h"
#include "common/spec/spec_problem.h"

namespace reflux {
namespace {

using Kind = SpecNode::Kind;

// The field's name, or its whole path where two axes end alike.
std::string AxisName(const SpecNode& grid, const std::string& path) {
  const auto last = [](const std::string& of) { return of.substr(of.rfind('.') + 1); };
  const auto ends_alike = [&](const auto& axis) { return last(axis.first) == last(path); };
  return std::count_if(grid.entries.begin(), grid.entries.end(), ends_alike) > 1 ? path
                                                                                 : last(path);
}

// What a name may hold of a value; of a list or a block its place on the axis.
std::string ValueName(const SpecNode& value, size_t place) {
  if (value.kind != Kind::kScalar) return absl::StrCat(place + 1);
  std::string name = value.scalar;
  std::replace_if(
      name.begin(), name.end(), [](unsigned char c) { return !absl::ascii_isalnum(c) && c != '.'; },
      '_');
  return name;
}

}  // namespace

absl::Status ProblemAt(const SpecNode& node, const std::string& path, const std::string& text) {
  return ToStatus({{node.Where(), path, text, false, node.line}});
}

absl::StatusOr<std::vector<GridPoint>> GridPoints(const SpecNode* grid) {
  std::vector<GridPoint> points(1);
  if (grid == nullptr) return points;
  for (const auto& [path, axis] : grid->entries) {
    if (points.size() * axis.items.size() > kMaxSweepJobs) {
      return ProblemAt(axis, "grid", absl::StrCat("more than ", kMaxSweepJobs, " jobs"));
    }
    std::vector<GridPoint> longer;
    for (const GridPoint& point : points) {
      for (size_t i = 0; i < axis.items.size(); ++i) {
        longer.push_back(point);
        absl::StrAppend(&longer.back().name, point.name.empty() ? "" : "-", AxisName(*grid, path),
                        "-", ValueName(axis.items[i], i));
        longer.back().fields.emplace_back(path, axis.items[i]);
        longer.back().fields.back().second.line = axis.line;
      }
    }
    points = std::move(longer);
  }
  return points;
}

absl::Status CheckNotRemoved(const SpecNode& root, const SpecNode::Entry& field,
                             const std::string& variant) {
  const std::vector<std::string> parts = absl::StrSplit(field.first, '.');
  const SpecNode* node = &root;
  for (size_t i = 0; i + 1 < parts.size() && node != nullptr; ++i) {
    node = node->Find(parts[i]);
    if (node == nullptr || node->kind != Kind::kNull) continue;
    const std::string block = absl::StrJoin(parts.begin(), parts.begin() + i + 1, ".");
    return ProblemAt(field.second, absl::StrCat("grid.", field.first),
                     absl::StrCat(variant.empty() ? "the base" : absl::StrCat("variant ", variant),
                                  " is without ", block, ", which this would bring back"));
  }
  return absl::OkStatus();
}

}  // namespace reflux
