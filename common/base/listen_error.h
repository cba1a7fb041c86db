// What a server says when it cannot have its port.
#pragma once

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace reflux {

// AlreadyExists: in use, or below 1024 without the right to it; libraries do not say which.
inline absl::Status CannotListenError(absl::string_view address) {
  return absl::AlreadyExistsError(
      absl::StrCat("cannot listen on ", address,
                   ": the port is in use or not permitted; choose another, or port 0 for any free "
                   "one"));
}

}  // namespace reflux
