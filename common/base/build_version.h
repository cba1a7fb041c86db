// The version of this build: processes of one job must agree on it.
#pragma once

#include "absl/strings/string_view.h"

namespace reflux {

// The project version, e.g. "0.1.0".
absl::string_view BuildVersion();

}  // namespace reflux
