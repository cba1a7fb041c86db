#include "teacher_server/teacher_server.h"

#include <utility>

#include "common/base/build_version.h"
#include "common/base/status_macros.h"
#include "common/rpc/endpoints.h"
#include "distill/data/dataset.h"

namespace reflux {
namespace {

// The first forward of a network allocates and chooses kernels; no student should wait for that.
absl::Status WarmUp(const Teacher& teacher) {
  const torch::Tensor images = torch::zeros({teacher.identity.numerics.batch, 3, 65, 65});
  return RunTeacher(teacher, images, {"logits"}).status();
}

ReadImageFn ImageReader(const std::string& root) {
  return [root](const Locator& locator) -> absl::StatusOr<std::string> {
    if (root.empty()) return absl::NotFoundError("this teacher has no data folder");
    return ReadImageFile(root, locator);
  };
}

}  // namespace

absl::StatusOr<std::unique_ptr<TeacherServer>> TeacherServer::Start(
    Teacher teacher, const TeacherServerOptions& options, MetricRegistry* registry) {
  REFLUX_RETURN_IF_ERROR(WarmUp(teacher));
  auto server = std::unique_ptr<TeacherServer>(new TeacherServer);
  const int batch = teacher.identity.numerics.batch;
  LocalSourceMetrics local_metrics;
  BatchingMetrics batching_metrics;
  TargetServiceMetrics service_metrics;
  if (registry != nullptr) {
    local_metrics = LocalSourceMetrics::Register(*registry);
    batching_metrics = BatchingMetrics::Register(*registry);
    service_metrics = TargetServiceMetrics::Register(*registry, "teacher");
  }
  server->local_ = MakeLocalSource(std::move(teacher), ImageReader(options.data_root),
                                   {.miou = options.miou,
                                    .build_version = std::string(BuildVersion()),
                                    .read_label = options.read_label},
                                   local_metrics);
  server->batching_ = MakeBatchingSource(
      *server->local_,
      {.max_batch = batch, .max_delay = options.max_delay, .max_queue = options.max_queue},
      batching_metrics);
  server->service_ = MakeTargetService(*server->batching_, {}, service_metrics);
  const int preferred = options.endpoint_file.empty() ? 0 : PublishedPort(options.endpoint_file);
  REFLUX_ASSIGN_OR_RETURN(server->server_,
                          RpcServer::Start({.address = options.listen,
                                            .insecure = options.insecure,
                                            .preferred_port = preferred,
                                            .max_receive_bytes = kTargetServiceMaxReceiveBytes},
                                           {server->service_.get()}));
  if (!options.endpoint_file.empty()) {
    REFLUX_RETURN_IF_ERROR(PublishEndpoint(options.endpoint_file, server->address()));
  }
  server->server_->SetServing(true);
  return server;
}

}  // namespace reflux
