// The store on disk at full size: what it acknowledged survives kill -9 at any moment, and it takes
// the largest maps.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cache/rocks_target_store.h"
#include "tests/contract/cache_fixtures.h"

namespace reflux {
namespace {

constexpr int32_t kElements = 50000;  // 200 kB: tables are flushed on the way

// Puts targets for ever, writing the number of each to `acks` once it is stored.
[[noreturn]] void PutAndAcknowledge(const std::string& directory, int acks) {
  const auto store = RocksTargetStore::Open({.directory = directory, .min_free_disk_bytes = 0});
  if (!store.ok()) _exit(1);
  for (int32_t i = 0;; ++i) {
    const TargetRequest request = FakeRequest(1, 1, i);
    if (!(*store)->Put(KeyOf(request, 0), SetOf(request), FakeTarget(i, kElements)).ok()) _exit(2);
    if (write(acks, &i, sizeof(i)) != sizeof(i)) _exit(3);
  }
}

// Kills the child after `kill_after` acknowledgements; the last number it acknowledged.
int32_t RunAndKill(const std::string& directory, int32_t kill_after) {
  int acks[2];
  if (pipe(acks) != 0) return -1;
  const pid_t child = fork();
  if (child == 0) {
    close(acks[0]);
    PutAndAcknowledge(directory, acks[1]);
  }
  close(acks[1]);
  int32_t last = -1, number = 0;
  while (read(acks[0], &number, sizeof(number)) == sizeof(number)) {
    last = number;
    if (number + 1 == kill_after) kill(child, SIGKILL);
  }
  close(acks[0]);
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status)) << "the child exited by itself: " << WEXITSTATUS(status);
  return last;
}

TEST(CacheStoreTest, NothingAcknowledgedIsLost) {
  for (const int32_t kill_after : {1, 40, 600}) {
    TemporaryFolder folder;
    const int32_t last = RunAndKill(folder.path(), kill_after);
    ASSERT_GE(last + 1, kill_after);
    const auto store =
        RocksTargetStore::Open({.directory = folder.path(), .min_free_disk_bytes = 0});
    ASSERT_TRUE(store.ok()) << store.status();
    for (int32_t i = 0; i <= last; ++i) {
      const auto target = (*store)->Get(KeyOf(FakeRequest(1, 1, i), 0));
      ASSERT_TRUE(target.ok()) << "target " << i << " of " << last << ": " << target.status();
      ASSERT_EQ(target->bytes, FakeTarget(i, kElements).bytes);
    }
    // One more may have been stored but not yet acknowledged.
    EXPECT_LE((*store)->stats().entries, last + 2);
    EXPECT_EQ((*store)->Verify({})->corrupted, 0);
  }
}

TEST(CacheStoreTest, KeepsAMapOf134Megabytes) {
  TemporaryFolder folder;
  const RocksTargetStoreOptions options{.directory = folder.path(), .min_free_disk_bytes = 0};
  const TargetRequest request = FakeRequest(1);
  const EncodedTarget target = FakeTarget(5, 2048 * 128 * 128);
  {
    const auto store = RocksTargetStore::Open(options);
    ASSERT_TRUE(store.ok()) << store.status();
    ASSERT_TRUE((*store)->Put(KeyOf(request, 0), SetOf(request), target).ok());
    EXPECT_EQ((*store)->Get(KeyOf(request, 0))->bytes, target.bytes) << "from the memtable";
  }
  const auto store = RocksTargetStore::Open(options);
  ASSERT_TRUE(store.ok()) << store.status();
  const auto read = (*store)->Get(KeyOf(request, 0));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->bytes, target.bytes) << "from a table";
}

}  // namespace
}  // namespace reflux
