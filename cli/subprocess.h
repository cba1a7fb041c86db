// Runs a sibling program beside this one and reads what it prints.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "cli/file_commands.h"

namespace reflux {

// What the program wrote to standard output, at most 1 MiB; its standard error is this one's.
// FailedPrecondition with the exit code when that is not 0; Unavailable when it could not be
// started. Blocks until it ends; Ctrl-C ends it too, as it is of the same process group.
absl::StatusOr<std::string> OutputOf(const Execution& execution);

}  // namespace reflux
