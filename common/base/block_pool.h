// Blocks of memory that go round. A large block that is new from the system costs a page fault for
// each of its pages; one that was used a moment ago costs nothing and may still be in the
// processor's cache. Thread-safe.
#pragma once

#include <cstddef>
#include <memory>

namespace reflux {

class BlockPool {
 public:
  // Blocks that nobody uses take at most `max_idle_bytes`; beyond that the oldest are freed.
  explicit BlockPool(size_t max_idle_bytes);

  // At least `size` bytes, uninitialised. The last owner gives them back, also when the pool is
  // gone.
  std::shared_ptr<char> Take(size_t size);

 private:
  class Idle;
  const std::shared_ptr<Idle> idle_;
};

}  // namespace reflux
