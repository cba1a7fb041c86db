// A read of an object that is under way, into memory of the caller. One operation whatever the
// number of pieces: they hold one state of the object. Thread-compatible.
//
// librados receives an answer into memory of its own and copies it from there to where it was asked
// for: the one copy between the socket and a value's place (docs/scale_out.md).
#pragma once

#include <rados/librados.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cache/rados/rados_cluster.h"

namespace reflux {

using RadosReadOp = std::unique_ptr<void, void (*)(rados_read_op_t)>;
inline RadosReadOp MakeRadosReadOp() { return {rados_create_read_op(), &rados_release_read_op}; }

class RadosReading {
 public:
  struct Memory {
    char* bytes = nullptr;
    size_t size = 0;
  };
  // Reads from the beginning of the object into these one after the other. `io` must outlive it.
  RadosReading(std::shared_ptr<RadosCluster> cluster, rados_ioctx_t io, const std::string& object,
               const std::vector<Memory>& into);
  RadosReading(RadosReading&&) noexcept;
  RadosReading& operator=(RadosReading&&) = delete;
  // Waits for the read: nothing is written into the memory after that.
  ~RadosReading();

  // Bytes read: fewer than asked for at the object's end. Errors: those of rados_cluster.h.
  absl::StatusOr<size_t> Await();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace reflux
