#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

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

// Teacher and tap; where that means several, what else there is to tell them apart.
std::string Label(const SpecCoverage& spec, const Coverage& coverage) {
  const auto alike = [&](const SpecCoverage& other) {
    return other.teacher == spec.teacher && other.wanted.spec.tap == spec.wanted.spec.tap;
  };
  const std::string label = absl::StrCat(spec.teacher, " ", spec.wanted.spec.tap);
  if (std::count_if(coverage.specs.begin(), coverage.specs.end(), alike) == 1) return label;
  return absl::StrCat(spec.teacher, " ", spec.wanted.spec.name(), " ", Name(spec.wanted.spec.codec),
                      " of ", spec.wanted.DisplayName());
}

// A line for each of several teachers.
std::string TeacherLines(const Coverage& coverage) {
  std::map<std::string, std::pair<int64_t, int64_t>> teachers;  // held, targets
  for (const SpecCoverage& spec : coverage.specs) {
    teachers[spec.teacher].first += spec.held;
    teachers[spec.teacher].second += spec.targets;
  }
  std::string text;
  for (const auto& [name, counts] : teachers) {
    absl::StrAppend(&text, "  ", name, ": ", Counts(counts.first, counts.second), "\n");
  }
  return teachers.size() > 1 ? text : "";
}

nlohmann::json Json(const Coverage& coverage) {
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
  return {{"targets", coverage.targets()}, {"held", coverage.held()}, {"specs", std::move(specs)}};
}

std::string Text(const nlohmann::json& json) {
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace

std::string CoverageText(const Coverage& coverage, bool why) {
  const std::string total = Counts(coverage.held(), coverage.targets());
  if (!why) return absl::StrCat(total, "\n", TeacherLines(coverage));
  if (coverage.specs.size() == 1) return absl::StrCat(total, Why(coverage.specs[0]), "\n");
  std::string text = total + "\n";
  for (const SpecCoverage& spec : coverage.specs) {
    absl::StrAppend(&text, "  ", Label(spec, coverage), ": ", Counts(spec.held, spec.targets),
                    Why(spec), "\n");
  }
  return text;
}

std::string SweepCoverageText(const Coverage& together, const std::vector<JobCoverage>& jobs,
                              bool why) {
  std::string text = CoverageText(together, why);
  for (const JobCoverage& job : jobs) {
    absl::StrAppend(&text, "  ", job.job, ": ",
                    job.targets == 0 ? "nothing to cache." : Counts(job.held, job.targets), "\n");
  }
  return text;
}

std::string CoverageJson(const Coverage& coverage) { return Text(Json(coverage)); }

std::string SweepCoverageJson(const Coverage& together, const std::vector<JobCoverage>& jobs) {
  nlohmann::json json = Json(together);
  for (const JobCoverage& job : jobs) {
    json["jobs"].push_back({{"job", job.job}, {"targets", job.targets}, {"held", job.held}});
  }
  return Text(json);
}

}  // namespace reflux
