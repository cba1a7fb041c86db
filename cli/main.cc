// reflux: the client.
#include <unistd.h>

#include <iostream>

#include "cli/command_line.h"
#include "common/base/progress_bar.h"
#include "common/base/shutdown.h"

int main(int argc, char** argv) {
  reflux::Terminal terminal{std::cout, std::cerr, reflux::IsTerminal(STDOUT_FILENO)};
  return reflux::RunCommandLine({argv + 1, argv + argc}, terminal, &reflux::InstallShutdownSignals);
}
