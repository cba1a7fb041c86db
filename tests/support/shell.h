// Commands as a person types them.
#pragma once

#include <string>

namespace reflux {

struct ShellOutput {
  int exit_code = -1;  // -1 too when a signal ended it
  std::string text;
};

// Runs `command` in a shell to its end; `text` is its standard output. Standard error goes where
// the test's goes unless the command says otherwise ("2>&1").
ShellOutput RunShell(const std::string& command);

}  // namespace reflux
