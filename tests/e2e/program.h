// Runs `reflux` as a person does.
#pragma once

#include <string>

namespace reflux {

struct ProgramOutput {
  int exit_code = -1;
  std::string text;
};

// `reflux ARGUMENTS` of $REFLUX_BIN, to its end. With `with_errors` standard error is in the text
// too; without it goes where the test's goes.
ProgramOutput RunReflux(const std::string& arguments, bool with_errors = true);

}  // namespace reflux
