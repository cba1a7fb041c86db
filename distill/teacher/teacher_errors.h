// The boundary where what a network, LibTorch or OpenCV throws becomes an absl::Status.
#pragma once

#include <c10/util/Exception.h>

#include <exception>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace reflux {

// What `work` returns, a status or an absl::StatusOr; Internal "teacher <what>: <message>" if it
// throws: memory that is not there, shapes that do not fit.
template <typename Work>
auto CatchTeacherErrors(absl::string_view what, Work&& work) -> decltype(work()) {
  try {
    return work();
  } catch (const c10::Error& error) {
    return absl::InternalError(
        absl::StrCat("teacher ", what, ": ", error.what_without_backtrace()));
  } catch (const std::exception& error) {
    return absl::InternalError(absl::StrCat("teacher ", what, ": ", error.what()));
  }
}

}  // namespace reflux
