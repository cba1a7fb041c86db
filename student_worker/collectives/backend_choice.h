// How the ranks of a job exchange tensors, which all must choose alike.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "student_worker/collectives/c10d_communicator.h"

namespace reflux {

// "nccl" when each rank has a GPU of its own, else "gloo": NCCL refuses ranks that share one. A
// rank's GPU is any text that is the same for the same GPU alone; empty: it computes on the CPU.
std::string ChooseBackend(const std::vector<std::string>& gpus);

// ChooseBackend for all ranks of `options`, of which this one has `gpu`. Blocks until each rank has
// told its GPU through the store; Unavailable when one does not in the store's time.
absl::StatusOr<std::string> AgreeOnBackend(const std::string& gpu, const ConnectOptions& options,
                                           const RendezvousStore& store);

}  // namespace reflux
