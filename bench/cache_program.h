// Where a benchmark finds reflux-cache. Torch-free.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace reflux {

// Puts the reflux-cache beside this program into `program` if that is empty. InvalidArgument when
// there is none.
absl::Status FindCacheProgram(std::string& program);

}  // namespace reflux
