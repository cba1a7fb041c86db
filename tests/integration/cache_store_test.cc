// The store on disk at full size: what it acknowledged survives kill -9 at any moment, and it takes
// the largest maps.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cache/rocks_target_store.h"
#include "cache/verify_store.h"
#include "tests/contract/cache_fixtures.h"
#include "tests/contract/store_child.h"

namespace reflux {
namespace {

// Kills the child after `kill_after` acknowledgements; the last number it acknowledged.
int32_t RunAndKill(const std::string& directory, int32_t kill_after) {
  const StoreChild child = StoreChild::Start(REFLUX_STORE_CHILD, "put", directory);
  EXPECT_GT(child.pid, 0);
  int32_t last = -1, number = 0;
  while (read(child.output, &number, sizeof(number)) == sizeof(number)) {
    last = number;
    if (number + 1 == kill_after) kill(child.pid, SIGKILL);
  }
  close(child.input);
  close(child.output);
  int status = 0;
  EXPECT_EQ(waitpid(child.pid, &status, 0), child.pid);
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
      ASSERT_EQ(target->bytes, FakeTarget(i, kStoreChildElements).bytes);
    }
    // One more may have been stored but not yet acknowledged.
    EXPECT_LE((*store)->stats().entries, last + 2);
    EXPECT_EQ(VerifyStore(**store, {})->corrupted, 0);
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
    ASSERT_TRUE(
        (*store)->Put(KeyOf(request, 0), SetOf(request), OriginOf(request, 0), target).ok());
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
