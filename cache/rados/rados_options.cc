#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "cache/rados/rados_store.h"
#include "common/base/status_macros.h"

namespace reflux {
namespace {

bool IsName(absl::string_view name) {
  return !name.empty() && name.size() <= 128 && std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_isalnum(c) || c == '.' || c == '_' || c == '-';
  });
}

}  // namespace

absl::Status RadosStoreOptions::Validate() const {
  if (!IsName(pool) || !IsName(name)) {
    return absl::InvalidArgumentError(
        absl::StrCat("rados store '", pool, "/", name,
                     "': pool and name have 1 to 128 letters, digits, '.', '_' or '-'"));
  }
  if (capacity_bytes < 0) {
    return absl::InvalidArgumentError("rados store: the capacity must not be negative");
  }
  if (timeout < absl::Seconds(1) || retry_after < absl::ZeroDuration() ||
      refresh_after < absl::ZeroDuration()) {
    return absl::InvalidArgumentError(
        "rados store: the timeout is at least a second, pauses are not negative");
  }
  return absl::OkStatus();
}

absl::StatusOr<RadosStoreOptions> ParseRadosLocation(absl::string_view location) {
  if (!absl::StartsWith(location, "rados:")) {
    return absl::InvalidArgumentError(
        absl::StrCat("store '", location, "': known is rados:POOL or rados:POOL/NAME"));
  }
  const std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(location.substr(6), absl::MaxSplits('/', 1));
  RadosStoreOptions options{.pool = std::string(parts.first)};
  if (absl::StrContains(location, '/')) options.name = std::string(parts.second);
  REFLUX_RETURN_IF_ERROR(options.Validate());
  return options;
}

}  // namespace reflux
