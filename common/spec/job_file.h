// The job file: YAML (docs/job_file.md) to the `reflux.v1.JobSpec` that gRPC carries, and back.
//
// A loaded spec is resolved: recipes merged, overrides applied, defaults filled in, paths absolute,
// checked. Functions are thread-safe and torch-free; only LoadJobFile reads files.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/spec/job_check.h"
#include "common/spec/job_tree.h"
#include "reflux/v1/config.pb.h"

namespace reflux {

// Reads a .yaml job file, or a .json file as ToJson writes it. `overrides` are "path=value" as for
// --set, the last one wins.
//
// Errors: NotFound, PermissionDenied, ResourceExhausted (over 1 MiB); InvalidArgument with every
// problem on its own line ("job.yaml:7: losses.icsd.tempature: unknown field, ..."); Unimplemented
// when the file is right but uses things that are "not available in this version: ...", a line
// each. A sweep is such a thing: see sweep_jobs.h for who takes one.
absl::StatusOr<v1::JobSpec> LoadJobFile(const std::string& path,
                                        const std::vector<std::string>& overrides = {});

// The text of such a file; JSON as YAML.
absl::StatusOr<JobText> ReadJobText(const std::string& path);

// LoadJobFile for YAML text.
absl::StatusOr<v1::JobSpec> ParseJob(const JobText& job,
                                     const std::vector<std::string>& overrides = {});

// A spec from the wire as if it had come from a file: defaults filled in, checked (ValidateJob). A
// loss that is not there stays away, `ce` too. Paths are left as they are.
absl::StatusOr<v1::JobSpec> ResolveJob(v1::JobSpec spec);

// The spec as JSON with the field names of the job file (snake_case), indented.
std::string ToJson(const v1::JobSpec& spec);
// Inverse of ToJson, without defaults or checks: a loss that is not named is absent, `ce` too.
// InvalidArgument for bad JSON and unknown names.
absl::StatusOr<v1::JobSpec> FromJson(const std::string& json);

// The spec as a job file that spells everything out; parsing it gives the same spec.
std::string ResolvedYaml(const v1::JobSpec& spec);

}  // namespace reflux
