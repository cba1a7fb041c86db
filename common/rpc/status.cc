#include "common/rpc/status.h"

#include <algorithm>
#include <string>

#include "reflux/v1/targets.pb.h"

namespace reflux {
namespace {

constexpr char kRetryInfoUrl[] = "reflux.v1.RetryInfo";
constexpr int64_t kMaxRetryMs = 3600 * 1000;

}  // namespace

// The codes of both libraries are those of google.rpc.Code, number by number.
grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  const absl::optional<absl::Cord> retry = status.GetPayload(kRetryInfoUrl);
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), std::string(status.message()),
                      retry.has_value() ? std::string(*retry) : std::string());
}

absl::Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  absl::Status result(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
  if (!status.error_details().empty()) {
    result.SetPayload(kRetryInfoUrl, absl::Cord(status.error_details()));
  }
  return result;
}

absl::Status BusyError(absl::string_view message, absl::Duration retry_after) {
  v1::RetryInfo info;
  info.set_retry_after_ms(
      std::clamp<int64_t>(absl::ToInt64Milliseconds(retry_after), 0, kMaxRetryMs));
  absl::Status status = absl::ResourceExhaustedError(message);
  status.SetPayload(kRetryInfoUrl, absl::Cord(info.SerializeAsString()));
  return status;
}

absl::Duration RetryAfter(const absl::Status& status) {
  const absl::optional<absl::Cord> payload = status.GetPayload(kRetryInfoUrl);
  v1::RetryInfo info;
  if (!payload.has_value() || !info.ParseFromString(std::string(*payload))) {
    return absl::ZeroDuration();
  }
  return absl::Milliseconds(std::clamp<int64_t>(info.retry_after_ms(), 0, kMaxRetryMs));
}

}  // namespace reflux
