// Early return on a failed absl::Status or StatusOr.
#pragma once

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#define REFLUX_RETURN_IF_ERROR(expr)                                                       \
  do {                                                                                     \
    if (absl::Status reflux_status_ = (expr); !reflux_status_.ok()) return reflux_status_; \
  } while (false)

#define REFLUX_CONCAT_INNER_(a, b) a##b
#define REFLUX_CONCAT_(a, b) REFLUX_CONCAT_INNER_(a, b)
#define REFLUX_ASSIGN_OR_RETURN(lhs, expr) \
  REFLUX_ASSIGN_OR_RETURN_IMPL_(REFLUX_CONCAT_(reflux_statusor_, __LINE__), lhs, expr)
#define REFLUX_ASSIGN_OR_RETURN_IMPL_(var, lhs, expr) \
  auto var = (expr);                                  \
  if (!var.ok()) return var.status();                 \
  lhs = std::move(var).value()
