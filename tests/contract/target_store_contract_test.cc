// What every TargetStore must do.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "cache/memory_target_store.h"
#include "cache/rocks_target_store.h"
#include "tests/contract/cache_fixtures.h"

namespace reflux {
namespace {

using ::testing::SizeIs;

// Opens a store with a capacity (0: none) in `folder`.
using Factory = std::unique_ptr<TargetStore> (*)(const std::string& folder, int64_t capacity_bytes);

std::unique_ptr<TargetStore> OpenMemory(const std::string&, int64_t capacity_bytes) {
  return std::make_unique<MemoryTargetStore>(capacity_bytes);
}

std::unique_ptr<TargetStore> OpenOnDisk(const std::string& folder, int64_t capacity_bytes) {
  auto store = RocksTargetStore::Open(
      {.directory = folder, .capacity_bytes = capacity_bytes, .min_free_disk_bytes = 0});
  EXPECT_TRUE(store.ok()) << store.status();
  return store.ok() ? *std::move(store) : nullptr;
}

class TargetStoreContract : public testing::TestWithParam<Factory> {
 protected:
  std::unique_ptr<TargetStore> Open(int64_t capacity_bytes = 0) {
    return GetParam()(folder_.path(), capacity_bytes);
  }
  const TargetRequest request_ = FakeRequest(8, 2);

 private:
  TemporaryFolder folder_;
};

TEST_P(TargetStoreContract, GetReturnsWhatWasPut) {
  const auto store = Open();
  const EncodedTarget target = FakeTarget(3);
  ASSERT_TRUE(store->Put(KeyOf(request_, 0), SetOf(request_), target).ok());
  EXPECT_TRUE(store->Contains(KeyOf(request_, 0)));
  const auto read = store->Get(KeyOf(request_, 0));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->bytes, target.bytes);
  EXPECT_EQ(read->checksum, target.checksum);
  EXPECT_EQ(read->shape, target.shape);
  EXPECT_EQ(read->dtype, target.dtype);
  EXPECT_EQ(read->codec, target.codec);
  EXPECT_TRUE(read->Verify().ok());
}

TEST_P(TargetStoreContract, AMissIsNotFound) {
  const auto store = Open();
  EXPECT_TRUE(absl::IsNotFound(store->Get(KeyOf(request_, 0)).status()));
  EXPECT_FALSE(store->Contains(KeyOf(request_, 0)));
}

TEST_P(TargetStoreContract, BytesOutliveDropAndStore) {
  auto store = Open();
  ASSERT_TRUE(store->Put(KeyOf(request_, 0), SetOf(request_), FakeTarget(3)).ok());
  const auto read = store->Get(KeyOf(request_, 0));
  ASSERT_TRUE(read.ok());
  ASSERT_TRUE(store->Drop(KeyOf(request_, 0)).ok());
  EXPECT_TRUE(absl::IsNotFound(store->Get(KeyOf(request_, 0)).status()));
  store.reset();
  EXPECT_EQ(read->bytes, FakeTarget(3).bytes);
}

TEST_P(TargetStoreContract, PuttingTwiceKeepsTheFirst) {
  const auto store = Open();
  ASSERT_TRUE(store->Put(KeyOf(request_, 0), SetOf(request_), FakeTarget(1)).ok());
  ASSERT_TRUE(store->Put(KeyOf(request_, 0), SetOf(request_), FakeTarget(2)).ok());
  EXPECT_EQ(store->Get(KeyOf(request_, 0))->bytes, FakeTarget(1).bytes);
  EXPECT_EQ(store->stats().entries, 1);
}

TEST_P(TargetStoreContract, DropOfAMissIsOk) {
  const auto store = Open();
  EXPECT_TRUE(store->Drop(KeyOf(request_, 0)).ok());
  EXPECT_EQ(store->stats().entries, 0);
}

TEST_P(TargetStoreContract, RefusesATargetThatFailsItsOwnChecksum) {
  const auto store = Open();
  EncodedTarget target = FakeTarget(1);
  ++target.checksum;
  EXPECT_TRUE(absl::IsDataLoss(store->Put(KeyOf(request_, 0), SetOf(request_), target)));
  EXPECT_FALSE(store->Contains(KeyOf(request_, 0)));
}

TEST_P(TargetStoreContract, CountsEntriesAndBytes) {
  const auto store = Open();
  ASSERT_TRUE(store->Put(KeyOf(request_, 0), SetOf(request_), FakeTarget(1, 10)).ok());
  ASSERT_TRUE(store->Put(KeyOf(request_, 1), SetOf(request_), FakeTarget(2, 20)).ok());
  ASSERT_TRUE(store->Drop(KeyOf(request_, 0)).ok());
  const StoreStats stats = store->stats();
  EXPECT_EQ(stats.entries, 1);
  EXPECT_EQ(stats.live_bytes, 80);
  EXPECT_TRUE(stats.storing);
}

TEST_P(TargetStoreContract, StopsStoringAtItsCapacity) {
  const auto store = Open(/*capacity_bytes=*/100);
  ASSERT_TRUE(store->Put(KeyOf(request_, 0), SetOf(request_), FakeTarget(1, 20)).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(
      store->Put(KeyOf(request_, 1), SetOf(request_), FakeTarget(2, 20))));
  EXPECT_FALSE(store->Contains(KeyOf(request_, 1)));
  EXPECT_TRUE(store->Get(KeyOf(request_, 0)).ok()) << "reads go on";
  EXPECT_EQ(store->stats().refused, 1);
  EXPECT_EQ(store->stats().live_bytes, 80);
  ASSERT_TRUE(store->Drop(KeyOf(request_, 0)).ok());
  EXPECT_TRUE(store->Put(KeyOf(request_, 1), SetOf(request_), FakeTarget(2, 20)).ok());
}

TEST_P(TargetStoreContract, ListsSetsThatHoldTargets) {
  const auto store = Open();
  ASSERT_TRUE(store->Put(KeyOf(request_, 0, 0), SetOf(request_, 0), FakeTarget(1, 10)).ok());
  ASSERT_TRUE(store->Put(KeyOf(request_, 1, 0), SetOf(request_, 0), FakeTarget(2, 10)).ok());
  ASSERT_TRUE(store->Put(KeyOf(request_, 0, 1), SetOf(request_, 1), FakeTarget(3, 10)).ok());
  ASSERT_TRUE(store->Drop(KeyOf(request_, 0, 1)).ok());
  const auto sets = store->ListSets();
  ASSERT_TRUE(sets.ok());
  ASSERT_THAT(*sets, SizeIs(1));
  const StoredSet& set = sets->front();
  EXPECT_EQ(set.entries, 2);
  EXPECT_EQ(set.bytes, 80);
  EXPECT_EQ(set.set.spec, request_.specs[0]);
  EXPECT_EQ(set.set.teacher, request_.teacher);
  EXPECT_EQ(set.id, MakeTargetSetId(SetOf(request_, 0)));
  EXPECT_EQ(set.set.DisplayName(), "fake/fake@" + request_.teacher.digest.Short());
  EXPECT_GT(set.last_used, absl::UnixEpoch());
}

TEST_P(TargetStoreContract, VerifyReadsEverything) {
  const auto store = Open();
  for (size_t i = 0; i < 5; ++i) {
    ASSERT_TRUE(store->Put(KeyOf(request_, i), SetOf(request_), FakeTarget(1, 10)).ok());
  }
  const auto report = store->Verify({});
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->entries, 5);
  EXPECT_EQ(report->bytes, 200);
  EXPECT_EQ(report->corrupted, 0);
  FetchContext cancelled{.cancellation = std::make_shared<Cancellation>()};
  cancelled.cancellation->Cancel();
  EXPECT_TRUE(absl::IsCancelled(store->Verify(cancelled).status()));
}

TEST_P(TargetStoreContract, KeepsMeta) {
  const auto store = Open();
  EXPECT_TRUE(absl::IsNotFound(store->GetMeta("a").status()));
  ASSERT_TRUE(store->PutMeta("a", "1").ok());
  ASSERT_TRUE(store->PutMeta("a", "2").ok());
  EXPECT_EQ(*store->GetMeta("a"), "2");
}

TEST_P(TargetStoreContract, ServesManyThreads) {
  const auto store = Open();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (size_t i = 0; i < request_.samples.size(); ++i) {
        EXPECT_TRUE(store->Put(KeyOf(request_, i), SetOf(request_), FakeTarget(i, 64)).ok());
        EXPECT_EQ(store->Get(KeyOf(request_, i))->bytes, FakeTarget(i, 64).bytes);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(store->stats().entries, 8);
  EXPECT_EQ(store->stats().live_bytes, 8 * 256);
}

INSTANTIATE_TEST_SUITE_P(Memory, TargetStoreContract, testing::Values(&OpenMemory));
INSTANTIATE_TEST_SUITE_P(Rocks, TargetStoreContract, testing::Values(&OpenOnDisk));

}  // namespace
}  // namespace reflux
