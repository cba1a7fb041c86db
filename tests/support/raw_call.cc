#include "tests/support/raw_call.h"

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/base/status_macros.h"
#include "common/rpc/status.h"

namespace reflux {
namespace {

// Waits for the one operation that is under way; whether it went well.
bool Await(grpc::CompletionQueue& queue) {
  void* tag = nullptr;
  bool ok = false;
  return queue.Next(&tag, &ok) && ok;
}

std::string BytesOf(const grpc::ByteBuffer& buffer) {
  grpc::Slice slice;
  if (!buffer.DumpToSingleSlice(&slice).ok()) return "";
  return {reinterpret_cast<const char*>(slice.begin()), slice.size()};
}

}  // namespace

absl::StatusOr<std::string> RawCall(const std::string& address, const std::string& method,
                                    const std::string& request) {
  grpc::GenericStub stub(grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(20)));
  grpc::CompletionQueue queue;
  const auto call = stub.PrepareCall(&context, method, &queue);
  call->StartCall(nullptr);
  const grpc::Slice slice(request);
  grpc::ByteBuffer answer;
  bool answered = Await(queue);
  if (answered) {
    call->WriteLast(grpc::ByteBuffer(&slice, 1), grpc::WriteOptions(), nullptr);
    answered = Await(queue);
  }
  if (answered) {
    call->Read(&answer, nullptr);
    answered = Await(queue);
  }
  grpc::Status status;
  call->Finish(&status, nullptr);
  Await(queue);
  REFLUX_RETURN_IF_ERROR(FromGrpc(status));
  if (!answered) return absl::InternalError(method + " gave no answer");
  return BytesOf(answer);
}

absl::StatusOr<bool> IsServing(const std::string& address) {
  // HealthCheckRequest without a service: the whole server. The answer's field 1 is the status.
  REFLUX_ASSIGN_OR_RETURN(const std::string answer,
                          RawCall(address, "/grpc.health.v1.Health/Check", ""));
  constexpr char kServing[] = "\x08\x01";
  return answer == kServing;
}

absl::StatusOr<std::string> ListedServices(const std::string& address) {
  // Field 7 of ServerReflectionRequest, list_services, with a text that is not looked at.
  constexpr char kListServices[] = "\x3a\x01*";
  return RawCall(address, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
                 kListServices);
}

}  // namespace reflux
