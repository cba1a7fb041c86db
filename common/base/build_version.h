// The version of this build: processes of one job must agree on it.
#pragma once

#include "absl/strings/string_view.h"

namespace reflux {

// The project version and the commit, "0.1.0+ff05ea6a1b2c", with "-dirty" when tracked files were
// changed; of sources that are not in git "0.1.0+sources-" and a digest (cmake/BuildVersion.cmake).
absl::string_view BuildVersion();

}  // namespace reflux
