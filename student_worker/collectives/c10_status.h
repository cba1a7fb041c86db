// The boundary where exceptions of LibTorch and Gloo become an absl::Status while ranks connect.
#pragma once

#include <c10/util/Exception.h>

#include <exception>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace reflux {

// Runs `action`; Unavailable "<what>: <message>" if it throws. Everything that goes wrong between
// valid options and a connected group (absent peer, broken connection, time-out) may be mended by
// the next generation, hence one code.
template <typename Action>
absl::Status CatchRendezvousErrors(absl::string_view what, Action&& action) {
  try {
    action();
    return absl::OkStatus();
  } catch (const c10::Error& error) {
    return absl::UnavailableError(absl::StrCat(what, ": ", error.what_without_backtrace()));
  } catch (const std::exception& error) {
    return absl::UnavailableError(absl::StrCat(what, ": ", error.what()));
  }
}

}  // namespace reflux
