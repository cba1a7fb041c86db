// Runs `reflux` as a person does.
#pragma once

#include <string>

#include "tests/support/shell.h"

namespace reflux {

// `reflux ARGUMENTS` of $REFLUX_BIN, to its end. With `with_errors` standard error is in the text
// too; without it goes where the test's goes.
ShellOutput RunReflux(const std::string& arguments, bool with_errors = true);

}  // namespace reflux
