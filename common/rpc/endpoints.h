// Names instead of addresses: where a role listens now (design 9). Thread-safe.
//
// An endpoint is written as "host:port", or as "@FILE": then FILE holds host:port and is read at
// every connection, so that a restarted server is found at its new port.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace reflux {

// host:port of `endpoint`. NotFound when the file does not exist (yet), InvalidArgument when what
// stands there is not host:port.
absl::StatusOr<std::string> ResolveEndpoint(const std::string& endpoint);

// Writes FILE of "@FILE" atomically, creating its folder.
absl::Status PublishEndpoint(const std::string& file, absl::string_view address);

// Removes FILE if it still holds `address`: no client is to begin with a server that stops. Best
// effort.
void WithdrawEndpoint(const std::string& file, absl::string_view address);

// The port in a published file, 0 if there is none: what a restarted process tries first.
int PublishedPort(const std::string& file);

}  // namespace reflux
