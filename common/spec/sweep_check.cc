#include "common/spec/sweep_check.h"

#include <set>

#include "absl/strings/str_cat.h"
#include "common/spec/spec_reader.h"
#include "reflux/v1/config.pb.h"

namespace reflux {
namespace {

constexpr char kNamed[] = "the jobs of a sweep are named after the sweep, the variant and the grid";

// Reads one value of a grid axis as the job field that its path names.
void CheckGridValue(const SpecNode& axis, const std::string& path, SpecNode value,
                    SpecReader& reader) {
  value.line = axis.line;
  v1::JobSpec scratch;
  reader.ReadBlock(NodeAtPath(path, std::move(value)), "", scratch);
}

// Values that are the same make the same job twice.
void CheckGridRepeats(const SpecNode& axis, const std::string& path, SpecReader& reader) {
  std::set<std::string> seen;
  for (const SpecNode& value : axis.items) {
    if (value.kind != SpecNode::Kind::kScalar || seen.insert(value.scalar).second) continue;
    reader.Report(axis, path, absl::StrCat("`", value.scalar, "` stands there twice"));
  }
}

void CheckGrid(const SpecNode& grid, SpecReader& reader) {
  if (grid.kind != SpecNode::Kind::kMap) {
    reader.Report(grid, "grid", "expected paths of fields, each with a list of values");
    return;
  }
  for (const auto& [path, axis] : grid.entries) {
    if (axis.kind != SpecNode::Kind::kList || axis.items.empty()) {
      reader.Report(axis, absl::StrCat("grid.", path), "expected a list of values");
      continue;
    }
    if (path == "name") reader.Report(axis, "grid.name", kNamed);
    for (const SpecNode& value : axis.items) CheckGridValue(axis, path, value, reader);
    CheckGridRepeats(axis, absl::StrCat("grid.", path), reader);
  }
}

void CheckVariants(SpecNode& variants, SpecReader& reader) {
  for (auto& [name, variant] : variants.entries) {
    const std::string path = absl::StrCat("variants.", name);
    if (variant.kind == SpecNode::Kind::kNull) {
      reader.Report(variant, path, "expected a block of fields; {} is the base as it is");
    }
    if (name == kBaselineVariant) {
      reader.Report(variant, path, "the name of what `baseline: true` adds; choose another");
    }
    if (variant.kind != SpecNode::Kind::kMap) continue;
    if (const SpecNode* named = variant.Find("name")) reader.Report(*named, path + ".name", kNamed);
    if (const absl::Status status = ExpandTeacherShorthand(variant); !status.ok()) {
      reader.Report(variant, path, std::string(status.message()));
    }
  }
}

}  // namespace

SpecProblems CheckSweep(SpecNode root) {
  SpecProblems problems;
  SpecReader reader(problems);
  const SpecNode kind = *root.Find("kind");
  if (const SpecNode* grid = root.Find("grid")) CheckGrid(*grid, reader);
  root.Erase("grid");
  if (SpecNode* variants = root.Find("variants")) CheckVariants(*variants, reader);
  v1::SweepSpec sweep;
  reader.ReadBlock(root, "", sweep);
  for (const char* required : {"name", "base"}) {
    if (root.Find(required) == nullptr) reader.Report(kind, required, "missing");
  }
  return problems;
}

SpecProblems CheckSweepAsJob(SpecNode root) {
  const SpecNode kind = *root.Find("kind");
  SpecProblems problems = CheckSweep(std::move(root));
  if (problems.empty()) {
    problems.push_back(
        {kind.Where(), "kind",
         "not available in this version: starting the jobs of a sweep (a later version does; "
         "`reflux validate`, `plan`, `fill` and `targets coverage` take one)",
         true, kind.line});
  }
  return problems;
}

}  // namespace reflux
