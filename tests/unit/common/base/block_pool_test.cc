#include "common/base/block_pool.h"

#include <gtest/gtest.h>

#include <cstring>
#include <optional>
#include <thread>
#include <vector>

namespace reflux {
namespace {

TEST(BlockPool, ABlockGoesRoundAmongSizesThatAreNearlyAlike) {
  BlockPool pool(1 << 20);
  std::shared_ptr<char> block = pool.Take(100'000);
  const char* first = block.get();
  std::memset(block.get(), 1, 100'000);
  block.reset();
  block = pool.Take(100'001);
  EXPECT_EQ(block.get(), first);
  EXPECT_NE(pool.Take(100'000).get(), first) << "it is in use";
}

TEST(BlockPool, TheSizeAskedForCanBeWritten) {
  BlockPool pool(1 << 20);
  for (const size_t size : {0u, 1u, 4096u, 4097u, 65535u, 65537u, 1000003u}) {
    std::memset(pool.Take(size).get(), 1, size);
  }
}

TEST(BlockPool, KeepsNoMoreThanItMay) {
  BlockPool pool(100'000);
  std::shared_ptr<char> large = pool.Take(90'000), small = pool.Take(60'000);
  const char* kept = small.get();
  large.reset();
  small.reset();  // the large one is freed
  EXPECT_EQ(pool.Take(60'000).get(), kept);
  pool.Take(1 << 20).reset();
}

TEST(BlockPool, BlocksOutliveThePool) {
  auto pool = std::make_optional<BlockPool>(1 << 20);
  const std::shared_ptr<char> block = pool->Take(5000);
  pool.reset();
  std::memset(block.get(), 1, 5000);
}

TEST(BlockPool, ThreadsShareIt) {
  BlockPool pool(1 << 16);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&pool, i] {
      for (size_t size = 1; size < 20'000; size += 97) {
        const std::shared_ptr<char> block = pool.Take(size);
        std::memset(block.get(), i, size);
        EXPECT_EQ(block.get()[size - 1], i);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace reflux
