// A reflux-cache process of our own, on a loopback port, with no teacher behind it.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace reflux {

class CacheProcess {
 public:
  // Runs `program` on the cache in `directory` and waits until it serves. Unavailable when it ends
  // or has not begun to serve after a minute.
  static absl::StatusOr<std::unique_ptr<CacheProcess>> Start(const std::string& program,
                                                             const std::string& directory);
  // Stops it and waits for its end.
  ~CacheProcess();

  const std::string& address() const { return address_; }
  // Processor time it has used so far, user and system.
  double CpuSeconds() const;

 private:
  explicit CacheProcess(pid_t pid) : pid_(pid) {}
  absl::Status AwaitAddress(const std::string& endpoint_file);
  const pid_t pid_;
  bool ended_ = false;
  std::string address_;
};

}  // namespace reflux
