// A real Ceph on loopback for a test: tests/ceph/cluster.sh as a child process. All of its daemons
// end with the object, or with the test's process however that dies.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace reflux {

class CephCluster {
 public:
  static constexpr char kPool[] = "reflux";

  // Below `folder`, which must outlive it. Unavailable, with the reason, where there can be none.
  static absl::StatusOr<std::unique_ptr<CephCluster>> Start(const std::string& folder, int osds);
  ~CephCluster();
  CephCluster(const CephCluster&) = delete;
  CephCluster& operator=(const CephCluster&) = delete;

  const std::string& configuration() const { return configuration_; }
  // SIGKILL to an object store; the cluster knows of it when this returns.
  absl::Status Kill(int osd) { return Tell("kill", osd); }
  // Brings it back, up when this returns.
  absl::Status Revive(int osd) { return Tell("start", osd); }

 private:
  CephCluster() = default;
  absl::StatusOr<std::string> ReadLine();
  absl::Status Tell(const std::string& verb, int osd);

  std::string configuration_;
  pid_t pid_ = -1;
  int input_ = -1, output_ = -1;  // the script's
};

}  // namespace reflux
