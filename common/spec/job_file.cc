#include "common/spec/job_file.h"

#include <algorithm>
#include <filesystem>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/file.h"
#include "common/base/status_macros.h"
#include "common/spec/field_options.h"
#include "common/spec/spec_node.h"
#include "common/spec/spec_reader.h"
#include "common/spec/sweep_check.h"

namespace reflux {
namespace {

namespace fs = std::filesystem;

void AddBlocksOfJob(v1::JobSpec& spec) {
  const google::protobuf::Descriptor& job = *spec.GetDescriptor();
  for (int i = 0; i < job.field_count(); ++i) {
    if (FactsOf(*job.field(i)).present) {
      spec.GetReflection()->MutableMessage(&spec, job.field(i));
    }
  }
}

std::string NameOfFile(const std::string& path) {
  std::string name = fs::path(path).stem().string();
  std::replace_if(
      name.begin(), name.end(),
      [](unsigned char c) { return !absl::ascii_isalnum(c) && c != '-' && c != '_' && c != '.'; },
      '-');
  return name;
}

}  // namespace

absl::StatusOr<v1::JobSpec> ParseJob(const JobText& job,
                                     const std::vector<std::string>& overrides) {
  REFLUX_ASSIGN_OR_RETURN(SpecNode root, ParseJobTree(job));
  REFLUX_ASSIGN_OR_RETURN(const FileKind kind, KindOf(root));
  if (kind == FileKind::kSweep) return ToStatus(CheckSweepAsJob(std::move(root)));
  root.Erase("kind");
  for (const std::string& assignment : overrides) {
    REFLUX_RETURN_IF_ERROR(ApplyOverride(root, assignment));
  }
  return ReadJobTree(root, job.default_name);
}

absl::StatusOr<v1::JobSpec> ResolveJob(v1::JobSpec spec) {
  AddBlocksOfJob(spec);
  FillFormatDefaults(spec);
  FillDefaults(spec);
  REFLUX_RETURN_IF_ERROR(ValidateJob(spec));
  return spec;
}

absl::StatusOr<JobText> ReadJobText(const std::string& path) {
  JobText job;
  REFLUX_ASSIGN_OR_RETURN(job.text, ReadFile(path, kMaxJobFileBytes));
  job.name = path;
  job.folder = fs::absolute(path).parent_path().string();
  job.default_name = NameOfFile(path);
  if (absl::EndsWith(path, ".json")) {
    absl::StatusOr<v1::JobSpec> spec = FromJson(job.text);
    if (!spec.ok()) {
      return absl::InvalidArgumentError(absl::StrCat(path, ": ", spec.status().message()));
    }
    job.text = ResolvedYaml(*spec);
  }
  return job;
}

absl::StatusOr<v1::JobSpec> LoadJobFile(const std::string& path,
                                        const std::vector<std::string>& overrides) {
  REFLUX_ASSIGN_OR_RETURN(const JobText job, ReadJobText(path));
  return ParseJob(job, overrides);
}

}  // namespace reflux
