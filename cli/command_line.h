// The command line of `reflux`: what is typed, to the command that answers it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cli/terminal.h"
#include "common/base/cancellation.h"

namespace reflux {

// Parses `arguments` (without the program's name) and runs the command. `install_signals` is called
// by commands that wait, before they start; programs that are executed in place of this one must
// not inherit blocked signals. Returns the exit code: kExitUsage for a bad command line.
int RunCommandLine(std::vector<std::string> arguments, Terminal& terminal,
                   std::shared_ptr<Cancellation> (*install_signals)());

}  // namespace reflux
