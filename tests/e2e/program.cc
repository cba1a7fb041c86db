#include "tests/e2e/program.h"

#include <cstdlib>

#include "absl/strings/str_cat.h"

namespace reflux {

ShellOutput RunReflux(const std::string& arguments, bool with_errors) {
  return RunShell(
      absl::StrCat(std::getenv("REFLUX_BIN"), "/reflux ", arguments, with_errors ? " 2>&1" : ""));
}

}  // namespace reflux
