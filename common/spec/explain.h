// What can stand in a job file, from config.proto itself. Thread-safe, no I/O.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace reflux {

// The fields of a block, or one field: type, default, unit, allowed values, source. `path` is as in
// the job file: "", "losses.icsd", "teacher.layout", "teachers.NAME"; also blocks of a sweep.
// NotFound suggests the nearest name.
absl::StatusOr<std::string> ExplainText(absl::string_view path);

// The same as a JSON object {path, type, doc, ..., fields: [...]}.
absl::StatusOr<std::string> ExplainJson(absl::string_view path);

// Every field of a job as Markdown tables, one a block: the reference part of docs/job_file.md.
std::string ExplainMarkdown();

}  // namespace reflux
