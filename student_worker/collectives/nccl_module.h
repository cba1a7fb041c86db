// Loads libreflux_nccl.so, which alone links CUDA and NCCL (docs/decisions/0001-nccl-as-module.md).
#pragma once

#include <string>
#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <torch/csrc/distributed/c10d/Store.hpp>
#include <vector>

#include "absl/status/statusor.h"

namespace reflux {

// The one symbol of the module, "reflux_make_nccl_backend": a new c10d::ProcessGroupNCCL with one
// reference that the caller owns (c10::intrusive_ptr::reclaim), or null and the reason in `error`.
using MakeNcclBackendFn = c10d::Backend* (*)(const c10::intrusive_ptr<c10d::Store>& store, int rank,
                                             int world_size, int64_t timeout_ms,
                                             std::string& error);

// Where the module is looked for: the program's own folder, then ../lib beside it.
std::vector<std::string> NcclModulePaths();

// The module's function from the first of `paths` that exists; it stays loaded. FailedPrecondition,
// with what to do, when there is none or it cannot be loaded. Thread-safe.
absl::StatusOr<MakeNcclBackendFn> LoadNcclModule(const std::vector<std::string>& paths);

}  // namespace reflux
