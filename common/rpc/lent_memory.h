// Memory that gRPC sends from where it lies, without a copy. Thread-safe.
#pragma once

#include <grpcpp/support/slice.h>

#include <cstdint>
#include <memory>

#include "absl/strings/string_view.h"
#include "common/base/mutex.h"

namespace reflux {

class LentMemory {
 public:
  LentMemory() = default;
  // Waits until gRPC has let go of everything: it may hold what it sent beyond the call, for as
  // long as the connection lives. So the server must be gone by then.
  ~LentMemory();

  // `bytes` as a slice that holds `owner`, as do the slices cut from it.
  grpc::Slice Lend(absl::string_view bytes, std::shared_ptr<const void> owner);

 private:
  struct Loan;
  static void GiveBack(void* loan);

  Mutex mutex_;
  CondVar changed_;
  int64_t loans_ REFLUX_GUARDED_BY(mutex_) = 0;
};

}  // namespace reflux
