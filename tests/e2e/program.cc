#include "tests/e2e/program.h"

#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>

#include "absl/strings/str_cat.h"

namespace reflux {

ProgramOutput RunReflux(const std::string& arguments, bool with_errors) {
  const std::string command =
      absl::StrCat(std::getenv("REFLUX_BIN"), "/reflux ", arguments, with_errors ? " 2>&1" : "");
  ProgramOutput output;
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return output;
  char block[4096];
  for (size_t n = 0; (n = fread(block, 1, sizeof(block), pipe)) > 0;) output.text.append(block, n);
  const int status = pclose(pipe);
  output.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return output;
}

}  // namespace reflux
