#include "common/rpc/endpoints.h"

#include <filesystem>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/file.h"
#include "common/base/status_macros.h"

namespace reflux {
namespace {

constexpr int64_t kMaxEndpointBytes = 512;

absl::StatusOr<int> PortOf(absl::string_view address) {
  const size_t colon = address.rfind(':');
  int port = 0;
  if (colon == absl::string_view::npos || colon == 0 ||
      !absl::SimpleAtoi(address.substr(colon + 1), &port) || port < 1 || port > 65535) {
    return absl::InvalidArgumentError(absl::StrCat("'", address, "' is not host:port"));
  }
  return port;
}

}  // namespace

absl::StatusOr<std::string> ResolveEndpoint(const std::string& endpoint) {
  std::string address = endpoint;
  if (!endpoint.empty() && endpoint[0] == '@') {
    REFLUX_ASSIGN_OR_RETURN(address, ReadFile(endpoint.substr(1), kMaxEndpointBytes));
    absl::StripAsciiWhitespace(&address);
  }
  REFLUX_RETURN_IF_ERROR(PortOf(address).status());
  return address;
}

absl::Status PublishEndpoint(const std::string& file, absl::string_view address) {
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(file).parent_path(), error);
  return WriteFileAtomically(file, absl::StrCat(address, "\n"));
}

void WithdrawEndpoint(const std::string& file, absl::string_view address) {
  const absl::StatusOr<std::string> published = ResolveEndpoint("@" + file);
  if (!published.ok() || *published != address) return;
  std::error_code error;
  std::filesystem::remove(file, error);
}

int PublishedPort(const std::string& file) {
  const absl::StatusOr<std::string> address = ResolveEndpoint("@" + file);
  return address.ok() ? PortOf(*address).value_or(0) : 0;
}

}  // namespace reflux
