// A teacher behind gRPC: TargetService -> BatchingSource -> LocalSource. Thread-safe after Start.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/metrics/registry.h"
#include "common/rpc/server.h"
#include "common/targets/target_service.h"
#include "distill/teacher/local_source.h"
#include "teacher_server/batching_source.h"

namespace reflux {

struct TeacherServerOptions {
  std::string listen = "127.0.0.1:0";
  std::string endpoint_file;  // where the address is published; empty: nowhere
  bool insecure = false;
  std::string data_root;   // images are read below it; empty: clients send them
  ReadLabelFn read_label;  // null: clients send labels, where a reduction reads them
  double miou = -1;        // of the check, told in TeacherInfo
  absl::Duration max_delay = absl::Milliseconds(5);
  int max_queue = 1024;
};

class TeacherServer {
 public:
  // `registry` may be null. Warms the network up with one forward, then says SERVING.
  static absl::StatusOr<std::unique_ptr<TeacherServer>> Start(Teacher teacher,
                                                              const TeacherServerOptions& options,
                                                              MetricRegistry* registry);
  const std::string& address() const { return server_->address(); }
  TargetSource& source() { return *batching_; }
  // Lets running calls end until `grace` has passed.
  void Shutdown(absl::Duration grace) { server_->Shutdown(grace); }

 private:
  TeacherServer() = default;
  std::unique_ptr<TargetSource> local_;
  std::unique_ptr<TargetSource> batching_;
  std::unique_ptr<v1::TargetService::Service> service_;
  std::unique_ptr<RpcServer> server_;
};

}  // namespace reflux
