#include "common/spec/job_tree.h"

#include <algorithm>
#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/file.h"
#include "common/base/status_macros.h"
#include "common/spec/field_options.h"
#include "common/spec/job_check.h"
#include "common/spec/recipes.h"
#include "common/spec/spec_reader.h"
#include "common/spec/task_check.h"

namespace reflux {
namespace {

namespace fs = std::filesystem;
using google::protobuf::Message;

constexpr int kMaxExtends = 8;

absl::StatusOr<SpecNode> ParseTree(const JobText& job, int depth);

// The tree of the recipe that `root` extends, with `root` laid on it.
absl::Status ResolveExtends(SpecNode& root, int depth) {
  const SpecNode* found = root.Find("extends");
  if (found == nullptr) return absl::OkStatus();
  const SpecNode extends = *found;
  root.Erase("extends");
  if (extends.kind == SpecNode::Kind::kNull) return absl::OkStatus();
  const std::string at = absl::StrCat(extends.Where(), ": extends: ");
  if (extends.kind != SpecNode::Kind::kScalar) {
    return absl::InvalidArgumentError(at + "expected the name of one recipe");
  }
  if (depth >= kMaxExtends) {
    return absl::InvalidArgumentError(
        absl::StrCat(at, "more than ", kMaxExtends, " files extend each other: a circle?"));
  }
  absl::StatusOr<std::string> path = FindRecipe(extends.scalar, extends.origin->folder);
  if (!path.ok()) return absl::InvalidArgumentError(absl::StrCat(at, path.status().message()));
  REFLUX_ASSIGN_OR_RETURN(std::string text, ReadFile(*path, kMaxJobFileBytes));
  REFLUX_ASSIGN_OR_RETURN(
      SpecNode base,
      ParseTree({text, *path, fs::absolute(*path).parent_path().string(), ""}, depth + 1));
  MergeSpec(base, std::move(root));
  root = std::move(base);
  return absl::OkStatus();
}

absl::StatusOr<SpecNode> ParseTree(const JobText& job, int depth) {
  auto origin = std::make_shared<SpecOrigin>();
  origin->name = job.name;
  origin->folder = job.folder;
  REFLUX_ASSIGN_OR_RETURN(SpecNode root, ParseSpecYaml(job.text, origin));
  if (root.kind != SpecNode::Kind::kMap) {
    return absl::InvalidArgumentError(
        absl::StrCat(root.Where(), ": expected the blocks of a job, e.g. `data:`"));
  }
  REFLUX_RETURN_IF_ERROR(ExpandTeacherShorthand(root));
  REFLUX_RETURN_IF_ERROR(ResolveExtends(root, depth));
  return root;
}

// Creates the blocks that are there even when the file does not name them; `~` removes them.
void AddPresentBlocks(const SpecNode& node, Message& message) {
  const google::protobuf::Descriptor& block = *message.GetDescriptor();
  for (int i = 0; i < block.field_count(); ++i) {
    const FieldDescriptor& field = *block.field(i);
    if (!FactsOf(field).present) continue;
    static const SpecNode kAbsent;
    const SpecNode* child = node.Find(field.name());
    if (child != nullptr && child->kind == SpecNode::Kind::kNull) continue;
    AddPresentBlocks(child == nullptr ? kAbsent : *child,
                     *message.GetReflection()->MutableMessage(&message, &field));
  }
}

// Gives a problem the place of its field, or of the nearest block around it, and calls the teacher
// what the file calls it.
void Locate(const SpecNode& root, SpecProblem& problem) {
  const SpecNode* node = &root;
  const std::string path = problem.path;  // the loop changes problem.path
  for (absl::string_view part : absl::StrSplit(path, '.')) {
    const SpecNode* next = node->Find(part);
    if (next == nullptr) break;
    node = next;
    if (node->shorthand) problem.path = absl::StrCat("teacher", path.substr(16));
  }
  problem.where = node == &root ? root.origin->name : node->Where();
  problem.line = node == &root ? 0 : node->line;
}

// What could not be read counts as missing: that is not told twice.
bool IsConsequence(const SpecProblem& problem, const SpecProblems& told) {
  return std::any_of(told.begin(), told.end(), [&](const SpecProblem& other) {
    return other.path == problem.path ||
           (problem.path == "train" && absl::StartsWith(other.path, "train."));
  });
}

}  // namespace

void FillFormatDefaults(v1::JobSpec& spec) {
  if (!IsClassification(spec.data())) return;
  v1::DataSpec& data = *spec.mutable_data();
  if (data.crop().empty())
    for (int i = 0; i < 2; ++i) data.add_crop(32);
  if (data.scale().empty())
    for (int i = 0; i < 2; ++i) data.add_scale(1);
  if (!data.has_padding()) data.set_padding(4);
}

absl::StatusOr<FileKind> KindOf(const SpecNode& root) {
  const SpecNode* kind = root.Find("kind");
  if (kind == nullptr || kind->scalar == "job") return FileKind::kJob;
  if (kind->scalar == "sweep") return FileKind::kSweep;
  return absl::InvalidArgumentError(absl::StrCat(kind->Where(), ": kind: `", kind->scalar,
                                                 "` is not allowed; one of job, sweep"));
}

absl::StatusOr<SpecNode> ParseJobTree(const JobText& job) { return ParseTree(job, 0); }

absl::StatusOr<v1::JobSpec> ReadJobTree(const SpecNode& root, const std::string& default_name) {
  SpecProblems problems;
  v1::JobSpec spec;
  SpecReader(problems).ReadBlock(root, "", spec);
  AddPresentBlocks(root, spec);
  FillFormatDefaults(spec);
  FillDefaults(spec);
  if (spec.name().empty()) spec.set_name(default_name);
  for (SpecProblem& problem : CheckJob(spec)) {
    Locate(root, problem);
    if (IsConsequence(problem, problems)) continue;
    problems.push_back(std::move(problem));
  }
  REFLUX_RETURN_IF_ERROR(ToStatus(std::move(problems)));
  return spec;
}

}  // namespace reflux
