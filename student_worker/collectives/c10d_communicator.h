// A Communicator over c10d process groups: Gloo for CPU tensors, NCCL for CUDA tensors.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "student_worker/collectives/communicator.h"
#include "student_worker/collectives/rendezvous_store.h"

namespace reflux {

struct ConnectOptions {
  // "gloo": any tensors, those of a GPU by way of host memory. "nccl": CUDA tensors by NCCL and CPU
  // tensors by Gloo; every rank needs a device of its own, the one its tensors are on.
  std::string backend = "gloo";
  int rank = 0;
  int world_size = 1;
  // Of the job: keys in the store begin with it, so that processes left over from an older
  // generation never meet newer ones.
  int64_t generation = 0;
  // For connecting and for each collective.
  absl::Duration timeout = absl::Seconds(60);

  absl::Status Validate() const;
};

// The backend of `ranks` on one machine, each on GPU number rank modulo `gpus`: NCCL refuses ranks
// that share one.
std::string BackendFor(int ranks, int gpus);

// Blocks until every rank has connected. InvalidArgument for bad options; FailedPrecondition, with
// what to do, when NCCL cannot be loaded or there is no CUDA device; Unavailable when a rank does
// not come in time. One communicator a process: LibTorch's flight recorder is not safe across
// process groups (tests that run ranks as threads switch it off by TORCH_FR_BUFFER_SIZE=0).
absl::StatusOr<std::unique_ptr<Communicator>> Connect(const ConnectOptions& options,
                                                      const RendezvousStore& store);

}  // namespace reflux
