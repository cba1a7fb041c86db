// A server process of a benchmark: started, found by its endpoint file, stopped with it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace reflux {

class ChildProcess {
 public:
  // Runs `arguments` (the program first) and waits until it has written its address to
  // `endpoint_file`. Unavailable when it ends or has not begun to serve after a minute.
  static absl::StatusOr<std::unique_ptr<ChildProcess>> Start(std::vector<std::string> arguments,
                                                             const std::string& endpoint_file);
  // Stops it and waits for its end.
  ~ChildProcess();

  const std::string& address() const { return address_; }
  // Processor time it has used so far, user and system.
  double CpuSeconds() const;
  // Its memory that is no file's; 0 when that cannot be told.
  int64_t AnonymousBytes() const;

 private:
  explicit ChildProcess(pid_t pid) : pid_(pid) {}
  absl::Status AwaitAddress(const std::string& program, const std::string& endpoint_file);
  const pid_t pid_;
  bool ended_ = false;
  std::string address_;
};

}  // namespace reflux
