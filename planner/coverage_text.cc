#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "planner/coverage.h"

namespace reflux {
namespace {

std::string Counts(int64_t held, int64_t targets) {
  return absl::StrCat(held, " of ", targets, " targets cached.");
}

// "a only", "a and b", "a, b and c".
std::string Fields(const std::vector<std::string>& names) {
  if (names.size() == 1) return names[0] + " only";
  const std::vector<std::string> head(names.begin(), names.end() - 1);
  return absl::StrCat(absl::StrJoin(head, ", "), " and ", names.back());
}

// Why some are missing, beginning with a blank; nothing when all are there.
std::string Why(const SpecCoverage& spec) {
  if (spec.held == spec.targets) return "";
  if (!spec.nearest.has_value()) return " The cache is empty.";
  const NearestSet& nearest = *spec.nearest;
  const std::string name = nearest.set.set.DisplayName();
  if (!nearest.differs.empty()) {
    return absl::StrCat(" Nearest set ", name, " differs in ", Fields(nearest.differs), ".");
  }
  if (spec.held > 0) return absl::StrCat(" The rest of set ", name, " has not been filled yet.");
  return absl::StrCat(" Set ", name, " holds ", nearest.set.entries,
                      " targets, all of other images or views (data.crop, scale, flip, view_seed, "
                      "targets.views, or the images' bytes).");
}

}  // namespace

std::string CoverageText(const Coverage& coverage, bool why) {
  const std::string total = Counts(coverage.held(), coverage.targets());
  if (!why) return total + "\n";
  if (coverage.specs.size() == 1) return absl::StrCat(total, Why(coverage.specs[0]), "\n");
  std::string text = total + "\n";
  for (const SpecCoverage& spec : coverage.specs) {
    absl::StrAppend(&text, "  ", spec.teacher, " ", spec.wanted.spec.tap, ": ",
                    Counts(spec.held, spec.targets), Why(spec), "\n");
  }
  return text;
}

std::string CoverageJson(const Coverage& coverage) {
  nlohmann::json specs = nlohmann::json::array();
  for (const SpecCoverage& spec : coverage.specs) {
    nlohmann::json row = {{"teacher", spec.teacher},     {"set", spec.wanted.DisplayName()},
                          {"tap", spec.wanted.spec.tap}, {"codec", Name(spec.wanted.spec.codec)},
                          {"targets", spec.targets},     {"held", spec.held}};
    if (spec.nearest.has_value()) {
      row["nearest"] = {{"set", spec.nearest->set.set.DisplayName()},
                        {"tap", spec.nearest->set.set.spec.tap},
                        {"entries", spec.nearest->set.entries},
                        {"differs", spec.nearest->differs}};
    }
    specs.push_back(std::move(row));
  }
  const nlohmann::json json = {
      {"targets", coverage.targets()}, {"held", coverage.held()}, {"specs", std::move(specs)}};
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace reflux
