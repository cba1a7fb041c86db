#include "common/base/block_pool.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <deque>
#include <utility>

#include "common/base/mutex.h"

namespace reflux {
namespace {

struct Block {
  size_t size = 0;
  std::unique_ptr<char[]> memory;
};

// An eighth of its power of two, so that sizes that are nearly alike share their blocks and at most
// an eighth of a block is unused.
size_t Rounded(size_t size) {
  constexpr size_t kLeast = 4096;
  size = std::max(size, kLeast);
  const size_t step = std::bit_floor(size) / 8;
  return (size + step - 1) / step * step;
}

}  // namespace

class BlockPool::Idle {
 public:
  explicit Idle(size_t max_bytes) : max_bytes_(max_bytes) {}

  // The block of this size that was used last; a new one if there is none.
  Block Take(size_t size) {
    {
      MutexLock lock(mutex_);
      const auto found = std::find_if(blocks_.rbegin(), blocks_.rend(),
                                      [&](const Block& block) { return block.size == size; });
      if (found != blocks_.rend()) {
        Block block = std::move(*found);
        blocks_.erase(std::next(found).base());
        bytes_ -= size;
        return block;
      }
    }
    return {size, std::make_unique_for_overwrite<char[]>(size)};
  }

  void GiveBack(Block block) {
    std::deque<Block> surplus;  // freed without the lock
    MutexLock lock(mutex_);
    bytes_ += block.size;
    blocks_.push_back(std::move(block));
    while (bytes_ > max_bytes_) {
      bytes_ -= blocks_.front().size;
      surplus.push_back(std::move(blocks_.front()));
      blocks_.pop_front();
    }
  }

 private:
  const size_t max_bytes_;
  Mutex mutex_;
  std::deque<Block> blocks_ REFLUX_GUARDED_BY(mutex_);
  size_t bytes_ REFLUX_GUARDED_BY(mutex_) = 0;
};

BlockPool::BlockPool(size_t max_idle_bytes) : idle_(std::make_shared<Idle>(max_idle_bytes)) {}

std::shared_ptr<char> BlockPool::Take(size_t size) {
  Block block = idle_->Take(Rounded(size));
  const size_t capacity = block.size;
  return {block.memory.release(), [idle = idle_, capacity](char* memory) {
            idle->GiveBack({capacity, std::unique_ptr<char[]>(memory)});
          }};
}

}  // namespace reflux
