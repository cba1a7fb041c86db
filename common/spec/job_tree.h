// A job file on its way: text to a tree with its recipes merged in, and that tree to a checked job.
// Between the two overrides are laid on it (`--set`, the variants and the grid of a sweep).
// Thread-safe; only `extends` reads files.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "common/spec/spec_node.h"
#include "reflux/v1/config.pb.h"

namespace reflux {

inline constexpr int64_t kMaxJobFileBytes = int64_t{1} << 20;

// A job as YAML. `name` is shown in messages; relative paths and `extends` start at `folder`; a job
// without a name gets `default_name`.
struct JobText {
  std::string text;
  std::string name = "job.yaml";
  std::string folder = ".";
  std::string default_name = "job";
};

// A map, without `teacher:` and `extends:`. InvalidArgument "file:line: ...".
absl::StatusOr<SpecNode> ParseJobTree(const JobText& job);

enum class FileKind { kJob, kSweep };

// What `kind:` says; a job where nothing does. InvalidArgument for anything else.
absl::StatusOr<FileKind> KindOf(const SpecNode& root);

// The job, resolved and checked; `root` has no `kind:`. Errors: InvalidArgument and Unimplemented
// as of LoadJobFile (job_file.h), each problem at the place where its field was written.
absl::StatusOr<v1::JobSpec> ReadJobTree(const SpecNode& root, const std::string& default_name);

// What is usual for the format of the data, where the job says nothing.
void FillFormatDefaults(v1::JobSpec& spec);

}  // namespace reflux
