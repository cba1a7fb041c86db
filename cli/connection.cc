#include "cli/connection.h"

#include <google/protobuf/util/json_util.h>

#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "common/rpc/endpoints.h"
#include "common/rpc/state_folder.h"

namespace reflux {

std::string OrchestratorEndpoint(const std::string& flag) {
  if (!flag.empty()) return flag;
  if (const char* environment = std::getenv("REFLUX_SERVER")) return environment;
  const char* home = std::getenv("HOME");
  return absl::StrCat("@", home == nullptr ? "" : home, kStateBelowHome, "/endpoints/orchestrator");
}

absl::StatusOr<std::shared_ptr<grpc::Channel>> Connect(const std::string& endpoint) {
  const absl::StatusOr<std::string> address = ResolveEndpoint(endpoint);
  if (absl::IsNotFound(address.status())) {
    return absl::UnavailableError(
        absl::StrCat("no server has been started: ", address.status().message(),
                     "; start it, or name another one (host:port or @FILE)"));
  }
  if (!address.ok()) return address.status();
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(16 << 20);
  return grpc::CreateCustomChannel(*address, grpc::InsecureChannelCredentials(), arguments);
}

absl::Status WithEndpoint(const absl::Status& status, const std::string& endpoint) {
  if (!absl::IsUnavailable(status) && !absl::IsDeadlineExceeded(status)) return status;
  return absl::Status(status.code(), absl::StrCat("no answer from ", endpoint, ": ",
                                                  status.message(), "; does the server run?"));
}

std::string MessageJson(const google::protobuf::Message& message, bool indented) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = indented;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;
  std::string json;
  // Fails for messages of unknown type only, which ours are not.
  (void)google::protobuf::util::MessageToJsonString(message, &json, options);
  if (!indented) json += "\n";
  return json;
}

}  // namespace reflux
