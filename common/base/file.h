// Whole files, bounded and atomic. Thread-safe.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace reflux {

// NotFound, PermissionDenied; ResourceExhausted when the file is larger than `max_bytes`.
absl::StatusOr<std::string> ReadFile(const std::string& path, int64_t max_bytes);

// Temporary file beside `path`, fsync, rename, fsync of the folder: readers see the old content or
// the new one, also after a crash.
absl::Status WriteFileAtomically(const std::string& path, absl::string_view content);

// The status of a failed system call: "<what> <path>: <strerror>", with the code that fits errno.
absl::Status ErrnoStatus(int error, absl::string_view what, absl::string_view path);

}  // namespace reflux
