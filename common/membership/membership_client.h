// The client side of MembershipService: a process that the orchestrator started says that it runs,
// where it listens and how far it is, and hears when it should stop.
//
// One background thread registers (again and again until it succeeds), then sends heartbeats. An
// orchestrator that is away is no reason to stop: the thread keeps trying, resolving "@FILE" at
// every attempt, and registers again with an orchestrator that does not know this launch.
// Thread-safe.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/cancellation.h"
#include "reflux/v1/jobs.pb.h"

namespace reflux {

struct MembershipOptions {
  std::string orchestrator;  // host:port or @FILE
  std::string launch_id;
  std::string job_id;  // empty for services
  std::string role;    // "worker/0", "teacher/<hash>", "cache/<name>/<hash>"
  int generation = 0;
  std::string address;          // of the own gRPC service; empty if none
  std::string metrics_address;  // empty if none
  std::string store_address;    // rank 0: its TCPStore; empty otherwise
  // Ranks above 0: registration is repeated until the reply has the store's address.
  bool wants_store_address = false;

  absl::Duration min_retry = absl::Milliseconds(50);
  absl::Duration max_retry = absl::Seconds(2);
  absl::Duration call_timeout = absl::Seconds(5);
  // Heartbeats are sent every lease / 3, or more often if this is shorter.
  absl::Duration max_heartbeat_interval = absl::Seconds(1);

  absl::Status Validate() const;
};

// Both run in the background thread; either may be empty.
struct MembershipCallbacks {
  // What rank 0 reports with the next heartbeat. Must not block.
  std::function<v1::Progress()> progress;
  // FAILED_PRECONDITION: another generation has taken over. UNIMPLEMENTED: the builds differ, which
  // no restart mends. Called once, then the client is silent; the process must exit (kExitFailed, or
  // kPermanentFailure) without writing anything more.
  std::function<void(const absl::Status&)> refused;
};

class MembershipClient {
 public:
  // InvalidArgument for bad options. Returns at once, not yet registered.
  static absl::StatusOr<std::unique_ptr<MembershipClient>> Start(const MembershipOptions& options,
                                                                 MembershipCallbacks callbacks);
  // Ends a call in flight and the thread. Must not run in a callback.
  ~MembershipClient();

  // Block until registered / until rank 0's store is known. DeadlineExceeded (with the last error),
  // Cancelled when a stop is requested or `cancellation` (may be null) fires, FailedPrecondition
  // when refused.
  absl::Status AwaitRegistered(absl::Time deadline, std::shared_ptr<Cancellation> cancellation);
  absl::StatusOr<std::string> AwaitStoreAddress(absl::Time deadline,
                                                std::shared_ptr<Cancellation> cancellation);

  // Cancelled when the orchestrator wants this process to write a checkpoint and exit with
  // kExitStopped.
  const std::shared_ptr<Cancellation>& stop_requested() const;

  // Sends a heartbeat now, in the calling thread: the last progress before exit. The error of the
  // call, which callers may ignore.
  absl::Status ReportNow(absl::Duration timeout);

 private:
  class Impl;
  explicit MembershipClient(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace reflux
