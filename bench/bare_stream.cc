#include "bench/bare_stream.h"

#include <algorithm>

#include "absl/strings/string_view.h"
#include "common/base/shutdown.h"
#include "common/base/status_macros.h"
#include "common/rpc/endpoints.h"
#include "common/rpc/server.h"
#include "common/targets/target_service.h"
#include "reflux/v1/targets.grpc.pb.h"

namespace reflux {
namespace {

class BareService : public v1::TargetService::Service {
 public:
  explicit BareService(int64_t bytes) : value_(static_cast<size_t>(bytes), 'x') {}

  grpc::Status Fetch(grpc::ServerContext*, const v1::FetchRequest* request,
                     grpc::ServerWriter<v1::FetchResponse>* stream) override {
    const auto chunk = static_cast<size_t>(TargetServiceOptions().chunk_bytes);
    v1::FetchResponse response;
    for (int sample = 0; sample < request->samples_size(); ++sample) {
      response.mutable_header()->set_sample(static_cast<uint32_t>(sample));
      if (!stream->Write(response)) break;
      for (size_t at = 0; at < value_.size(); at += chunk) {
        const size_t size = std::min(chunk, value_.size() - at);
        response.set_chunk(value_.data() + at, size);
        if (!stream->Write(response)) break;
      }
    }
    return grpc::Status::OK;
  }

 private:
  const std::string value_;
};

}  // namespace

absl::Status ServeBareStream(int64_t value_bytes, const std::string& endpoint_file) {
  const auto shutdown = InstallShutdownSignals();
  BareService service(value_bytes);
  REFLUX_ASSIGN_OR_RETURN(const auto server, RpcServer::Start({}, {&service}));
  REFLUX_RETURN_IF_ERROR(PublishEndpoint(endpoint_file, server->address()));
  AwaitCancelled({shutdown.get()});
  server->Shutdown(absl::Seconds(1));
  return absl::OkStatus();
}

}  // namespace reflux
