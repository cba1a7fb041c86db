// What `inspect` says of a TorchScript file.
#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace reflux {

struct ScriptedInspection {
  std::string path;
  bool run = false;    // RUNS THE PROGRAM, to learn its taps and its digest
  bool names = false;  // list every tensor (text)
  bool json = false;
};

// Errors of ListScriptedFile and, when it is run, of LoadScriptedModel.
absl::StatusOr<std::string> InspectScripted(const ScriptedInspection& inspection);

}  // namespace reflux
