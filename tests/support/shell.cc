#include "tests/support/shell.h"

#include <sys/wait.h>

#include <cstdio>

namespace reflux {

ShellOutput RunShell(const std::string& command) {
  ShellOutput output;
  std::FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return output;
  char block[4096];
  for (size_t n = 0; (n = std::fread(block, 1, sizeof(block), pipe)) > 0;) {
    output.text.append(block, n);
  }
  const int status = pclose(pipe);
  output.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return output;
}

}  // namespace reflux
