// A teacher behind gRPC: TargetService -> SwitchingSource -> BatchingSource -> the teacher.
// Torch-free. Thread-safe after Start.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/metrics/registry.h"
#include "common/rpc/server.h"
#include "common/targets/target_service.h"
#include "teacher_server/batching_source.h"
#include "teacher_server/switching_source.h"

namespace reflux {

// A loaded teacher.
struct ServedTeacher {
  std::shared_ptr<TargetSource> source;
  TeacherIdentity identity;
  // The same input gives the same bits at any time: exact numerics on a processor.
  bool bit_exact = false;
  std::function<void()> begin_runner;  // of every thread that will run it; may be null
};
// Called at the start and for every reload.
using TeacherLoader = std::function<absl::StatusOr<ServedTeacher>()>;

struct TeacherServerOptions {
  std::string listen = "127.0.0.1:0";
  std::string endpoint_file;  // where the address is published; empty: nowhere
  bool insecure = false;
  absl::Duration max_delay = absl::Milliseconds(5);
  int max_queue = 1024;
  int runners = 1;
  // Where answers to the canary image are remembered (canary.h); empty: only while the server
  // lives.
  std::string canary_directory;
  // How often the canary image is run again; it takes a runner's turn.
  absl::Duration canary_interval = absl::Minutes(1);
  // Called when the answer has changed, once; may be null. Requests are refused from then on.
  std::function<void()> on_wrong_arithmetic;
  const Clock* clock = &SystemClock();
};

struct TeacherServerMetrics {
  Gauge canary_ok;
  Counter canary_runs, reloads, failed_reloads;
  static TeacherServerMetrics Register(MetricRegistry& registry);
};

class TeacherServer {
 public:
  // `registry` may be null. Loads, runs the canary image (which warms the network up), then says
  // SERVING. DataLoss when the canary's answer is not the one remembered; errors of the loader, and
  // of RpcServer::Start.
  static absl::StatusOr<std::unique_ptr<TeacherServer>> Start(TeacherLoader loader,
                                                              const TeacherServerOptions& options,
                                                              MetricRegistry* registry);
  ~TeacherServer();

  const std::string& address() const { return rpc_->address(); }
  TargetSource& source() { return teacher_; }
  // What the gRPC health service says.
  bool serving() const { return rpc_->serving(); }

  // Loads again, in the background, while the teacher of before serves; then that one takes its
  // place: what runs or waits ends where it is, and a request for a teacher that is no longer here
  // is FAILED_PRECONDITION. If loading fails, everything stays as it is.
  void RequestReload();

  // Withdraws the endpoint, answers new requests with UNAVAILABLE, lets those that were accepted
  // end until `grace` has passed, then cancels them. A reload under way is waited for.
  void Shutdown(absl::Duration grace);

 private:
  TeacherServer(TeacherLoader loader, const TeacherServerOptions& options,
                MetricRegistry* registry);
  absl::Status Load();
  void Maintain();
  void Reload();
  void CheckCanary();
  void StopMaintenance();

  const TeacherLoader loader_;
  const TeacherServerOptions options_;
  TeacherServerMetrics metrics_;
  BatchingMetrics batching_metrics_;
  SwitchingSource teacher_;
  // Of the maintenance thread, and Start before it.
  ServedTeacher served_;
  Digest canary_;
  std::unique_ptr<v1::TargetService::Service> service_;
  std::unique_ptr<RpcServer> rpc_;
  Mutex mutex_;
  CondVar changed_;
  bool stopping_ REFLUX_GUARDED_BY(mutex_) = false;
  bool reload_ REFLUX_GUARDED_BY(mutex_) = false;
  std::thread maintenance_;
};

}  // namespace reflux
