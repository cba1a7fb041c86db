// A process of a benchmark that answers questions, a line each. Torch-free.
#pragma once

#include <sys/types.h>

#include <cstdio>
#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace reflux {

class AskedProcess {
 public:
  // Runs a command of the shell. Errors: of pipes and fork; a command that fails shows in Ask.
  static absl::StatusOr<std::unique_ptr<AskedProcess>> Start(const std::string& command);
  // Closes its standard input, which is to end it, and waits for that.
  ~AskedProcess();

  // The line on its standard output that answers `line` on its standard input. Unavailable when it
  // has ended.
  absl::StatusOr<std::string> Ask(const std::string& line);

 private:
  explicit AskedProcess(const std::string& command) : command_(command) {}
  absl::Status Run();

  const std::string command_;
  pid_t pid_ = -1;
  FILE* questions_ = nullptr;
  FILE* answers_ = nullptr;
};

}  // namespace reflux
