#include "common/spec/sweep_jobs.h"

#include <google/protobuf/util/message_differencer.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/base/status_macros.h"
#include "common/spec/job_file.h"
#include "common/spec/loss_fields.h"
#include "common/spec/spec_problem.h"

namespace reflux {
namespace {

using google::protobuf::util::MessageDifferencer;

absl::Status CheckOverrides(const SpecNode* grid, const std::vector<std::string>& overrides) {
  for (const std::string& assignment : overrides) {
    const std::string path = assignment.substr(0, assignment.find('='));
    if (path == "name") {
      return absl::InvalidArgumentError(
          absl::StrCat("--set ", assignment, ": the jobs of a sweep are named by the sweep"));
    }
    if (grid == nullptr) continue;
    for (const auto& [axis, values] : grid->entries) {
      if (path != axis && !absl::StartsWith(axis, path + ".")) continue;
      return absl::InvalidArgumentError(absl::StrCat("--set ", assignment, ": the grid varies ",
                                                     axis, " (", values.Where(), ")"));
    }
  }
  return absl::OkStatus();
}

class Expansion {
 public:
  Expansion(const SpecNode& sweep, SpecNode base, const std::vector<std::string>& overrides)
      : sweep_(sweep), base_(std::move(base)), overrides_(overrides) {
    file_.name = sweep.Find("name")->scalar;
    file_.sweep = true;
  }
  absl::StatusOr<JobFile> Run();

 private:
  absl::Status AddVariant(const std::string& variant, const SpecNode& blocks);
  void AddJob(const std::string& variant, const SpecNode& root, const GridPoint& point);
  absl::StatusOr<v1::JobSpec> ReadJob(const std::string& variant, SpecNode root,
                                      const GridPoint& point) const;
  bool IsThere(const SweepJob& job) const;
  void Keep(const absl::Status& status);

  const SpecNode& sweep_;
  const SpecNode base_;
  const std::vector<std::string>& overrides_;
  std::vector<GridPoint> points_;
  JobFile file_;
  std::vector<std::string> problems_;
  bool invalid_ = false;
};

// Jobs share most of what is wrong with them.
void Expansion::Keep(const absl::Status& status) {
  invalid_ = invalid_ || !absl::IsUnimplemented(status);
  for (absl::string_view line : absl::StrSplit(status.message(), '\n')) {
    if (std::count(problems_.begin(), problems_.end(), line) == 0) problems_.emplace_back(line);
  }
}

absl::StatusOr<v1::JobSpec> Expansion::ReadJob(const std::string& variant, SpecNode root,
                                               const GridPoint& point) const {
  for (const auto& [path, value] : point.fields) MergeSpec(root, NodeAtPath(path, value));
  for (const std::string& assignment : overrides_) {
    REFLUX_RETURN_IF_ERROR(ApplyOverride(root, assignment));
  }
  std::vector<std::string> name = {file_.name, variant, point.name};
  name.erase(std::remove(name.begin(), name.end(), ""), name.end());
  SpecNode node = *sweep_.Find("name");
  node.scalar = absl::StrJoin(name, "-");
  MergeSpec(root, NodeAtPath("name", std::move(node)));
  REFLUX_ASSIGN_OR_RETURN(v1::JobSpec spec, ReadJobTree(root, file_.name));
  if (variant != kBaselineVariant) return spec;
  RemoveTeacherLosses(*spec.mutable_losses());
  REFLUX_RETURN_IF_ERROR(ValidateJob(spec));
  return spec;
}

// A baseline's fields of losses that it has not make no other job of it.
bool Expansion::IsThere(const SweepJob& job) const {
  return std::any_of(file_.jobs.begin(), file_.jobs.end(), [&](const SweepJob& other) {
    if (other.variant != job.variant) return false;
    v1::JobSpec named = other.spec;
    named.set_name(job.spec.name());
    return MessageDifferencer::Equals(named, job.spec);
  });
}

void Expansion::AddJob(const std::string& variant, const SpecNode& root, const GridPoint& point) {
  absl::StatusOr<v1::JobSpec> spec = ReadJob(variant, root, point);
  if (!spec.ok()) return Keep(spec.status());
  const SweepJob job{.variant = variant, .spec = *std::move(spec)};
  if (variant == kBaselineVariant && IsThere(job)) return;
  for (const SweepJob& other : file_.jobs) {
    if (other.spec.name() != job.spec.name()) continue;
    return Keep(ProblemAt(*sweep_.Find("name"), "grid",
                          absl::StrCat("two jobs would be called ", job.spec.name(),
                                       ": a name keeps only letters, digits and '.' of a value")));
  }
  file_.jobs.push_back(job);
}

absl::Status Expansion::AddVariant(const std::string& variant, const SpecNode& blocks) {
  SpecNode root = base_;
  MergeSpec(root, blocks);
  for (const GridPoint& point : points_) {
    for (const SpecNode::Entry& field : point.fields) {
      REFLUX_RETURN_IF_ERROR(CheckNotRemoved(root, field, variant));
    }
    AddJob(variant, root, point);
  }
  return absl::OkStatus();
}

absl::StatusOr<JobFile> Expansion::Run() {
  const SpecNode* grid = sweep_.Find("grid");
  const SpecNode* baseline = sweep_.Find("baseline");
  const bool with_baseline = baseline != nullptr && baseline->scalar == "true";
  SpecNode unchanged;
  unchanged.kind = SpecNode::Kind::kMap;
  std::vector<SpecNode::Entry> variants = {{"", unchanged}};
  if (const SpecNode* given = sweep_.Find("variants")) variants = given->entries;
  if (with_baseline) variants.emplace_back(kBaselineVariant, unchanged);
  REFLUX_RETURN_IF_ERROR(CheckOverrides(grid, overrides_));
  REFLUX_ASSIGN_OR_RETURN(points_, GridPoints(grid));
  if (variants.size() * points_.size() > kMaxSweepJobs) {
    return ProblemAt(
        *sweep_.Find("kind"), "",
        absl::StrCat(variants.size() * points_.size(), " jobs, more than ", kMaxSweepJobs));
  }
  for (const auto& [name, blocks] : variants) REFLUX_RETURN_IF_ERROR(AddVariant(name, blocks));
  if (problems_.empty()) return std::move(file_);
  const std::string text = absl::StrJoin(problems_, "\n");
  return invalid_ ? absl::InvalidArgumentError(text) : absl::UnimplementedError(text);
}

}  // namespace

absl::StatusOr<JobFile> ExpandSweep(const SpecNode& sweep, SpecNode base,
                                    const std::vector<std::string>& overrides) {
  REFLUX_RETURN_IF_ERROR(ToStatus(CheckSweep(sweep)));
  SpecNode expanded = sweep;
  if (SpecNode* variants = expanded.Find("variants")) {
    for (auto& [name, blocks] : variants->entries) {
      REFLUX_RETURN_IF_ERROR(ExpandTeacherShorthand(blocks));
    }
  }
  return Expansion(expanded, std::move(base), overrides).Run();
}

absl::StatusOr<JobFile> LoadJobs(const std::string& path,
                                 const std::vector<std::string>& overrides) {
  REFLUX_ASSIGN_OR_RETURN(const JobText text, ReadJobText(path));
  REFLUX_ASSIGN_OR_RETURN(const SpecNode root, ParseJobTree(text));
  REFLUX_ASSIGN_OR_RETURN(const FileKind kind, KindOf(root));
  if (kind == FileKind::kJob) {
    REFLUX_ASSIGN_OR_RETURN(v1::JobSpec spec, ParseJob(text, overrides));
    const std::string name = spec.name();
    return JobFile{.name = name, .jobs = {{.spec = std::move(spec)}}};
  }
  REFLUX_RETURN_IF_ERROR(ToStatus(CheckSweep(root)));
  const SpecNode& named = *root.Find("base");
  const absl::StatusOr<JobText> base =
      ReadJobText((std::filesystem::path(text.folder) / named.scalar).lexically_normal().string());
  if (!base.ok()) return ProblemAt(named, "base", std::string(base.status().message()));
  REFLUX_ASSIGN_OR_RETURN(SpecNode tree, ParseJobTree(*base));
  REFLUX_ASSIGN_OR_RETURN(const FileKind base_kind, KindOf(tree));
  if (base_kind == FileKind::kSweep)
    return ProblemAt(named, "base", "a sweep; expected a job file");
  tree.Erase("kind");
  return ExpandSweep(root, std::move(tree), overrides);
}

}  // namespace reflux
