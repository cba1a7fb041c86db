#include "common/spec/spec_problem.h"

#include <algorithm>

#include "absl/strings/str_join.h"

namespace reflux {

std::string SpecProblem::ToString() const {
  std::string line;
  for (const std::string& part : {where, path}) {
    if (!part.empty()) line += part + ": ";
  }
  return line + text;
}

absl::Status ToStatus(SpecProblems problems) {
  if (problems.empty()) return absl::OkStatus();
  std::stable_sort(problems.begin(), problems.end(),
                   [](const SpecProblem& a, const SpecProblem& b) { return a.line < b.line; });
  const bool unavailable = std::all_of(problems.begin(), problems.end(),
                                       [](const SpecProblem& p) { return p.unavailable; });
  std::vector<std::string> lines;
  for (const SpecProblem& problem : problems) lines.push_back(problem.ToString());
  // Two blocks may lead to the same line ("data format folders").
  lines.erase(std::unique(lines.begin(), lines.end()), lines.end());
  const std::string text = absl::StrJoin(lines, "\n");
  return unavailable ? absl::UnimplementedError(text) : absl::InvalidArgumentError(text);
}

}  // namespace reflux
