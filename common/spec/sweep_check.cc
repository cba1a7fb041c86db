#include "common/spec/sweep_check.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/spec/spec_reader.h"
#include "reflux/v1/config.pb.h"

namespace reflux {
namespace {

// Reads one value of a grid axis as the job field that its path names.
void CheckGridValue(const SpecNode& axis, const std::string& path, SpecNode value,
                    SpecReader& reader) {
  const std::vector<std::string> parts = absl::StrSplit(path, '.');
  for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
    SpecNode outer;
    outer.kind = SpecNode::Kind::kMap;
    outer.origin = axis.origin;
    outer.line = value.line = axis.line;
    outer.entries.emplace_back(*part, std::move(value));
    value = std::move(outer);
  }
  v1::JobSpec scratch;
  reader.ReadBlock(value, "", scratch);
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
    for (const SpecNode& value : axis.items) CheckGridValue(axis, path, value, reader);
  }
}

void CheckVariants(SpecNode& variants, SpecReader& reader) {
  for (auto& [name, variant] : variants.entries) {
    if (variant.kind != SpecNode::Kind::kMap) continue;
    if (const absl::Status status = ExpandTeacherShorthand(variant); !status.ok()) {
      reader.Report(variant, absl::StrCat("variants.", name), std::string(status.message()));
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
  if (problems.empty()) {
    problems.push_back(
        {kind.Where(), "kind", "not available in this version: sweep", true, kind.line});
  }
  return problems;
}

}  // namespace reflux
