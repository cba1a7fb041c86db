// What every TargetStore must do.
#include "tests/contract/target_store_contract.h"

#include <gmock/gmock.h>

#include <thread>
#include <vector>

#include "cache/verify_store.h"

namespace reflux {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

TEST_P(TargetStoreContract, GetReturnsWhatWasPut) {
  const auto store = Open();
  const EncodedTarget target = FakeTarget(3);
  ASSERT_TRUE(store->Put(KeyOf(request_, 0), SetOf(request_), OriginOf(request_, 0), target).ok());
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

TEST_P(TargetStoreContract, ReadsAndLooksForManyAtOnce) {
  const auto store = Open();
  std::vector<TargetKey> keys;
  for (size_t i = 0; i < 6; ++i) {
    keys.push_back(KeyOf(request_, i));
    if (i == 2) continue;
    ASSERT_TRUE(Put(*store, i).ok());
  }
  EXPECT_THAT(store->ContainsMany(keys), ElementsAre(true, true, false, true, true, true));
  EXPECT_TRUE(store->ContainsMany({}).empty());
  std::vector<size_t> order;
  const auto deliver = [&](size_t i, absl::StatusOr<EncodedTarget> target) {
    order.push_back(i);
    if (i == 2) {
      EXPECT_TRUE(absl::IsNotFound(target.status()));
    } else {
      EXPECT_EQ(target->bytes, FakeTarget(static_cast<int>(i), 20).bytes);
    }
    return i < 4;
  };
  store->ReadMany(keys, Use::kTraining, deliver, nullptr);
  EXPECT_THAT(order, ElementsAre(0, 1, 2, 3, 4)) << "in order, until it is enough";
}

TEST_P(TargetStoreContract, ReadsIntoTheReadersMemoryOrItsOwn) {
  const auto store = Open();
  ASSERT_TRUE(Put(*store, 1).ok());
  const EncodedTarget expected = FakeTarget(1, 20);
  std::string row(expected.bytes.size(), '\0');
  const auto place = [&](const EncodedTarget& coming, size_t size) {
    EXPECT_EQ(coming.shape, expected.shape);
    EXPECT_EQ(size, row.size());
    return row.data();
  };
  const auto read = store->ReadTo(place, KeyOf(request_, 1), Use::kTraining);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->bytes, expected.bytes);
  const bool placed = read->bytes.data() == row.data();
  EXPECT_EQ(read->owner == nullptr, placed);
  EXPECT_TRUE(placed || !GetParam().places);
}

TEST_P(TargetStoreContract, ReadsManyIntoTheReadersMemoryOrItsOwn) {
  const auto store = Open();
  constexpr size_t kMissing = 2, kWithoutPlace = 4;
  const auto expected = [](size_t i) { return FakeTarget(static_cast<int>(i), 20000); };
  std::vector<TargetKey> keys;
  for (size_t i = 0; i < 6; ++i) {
    keys.push_back(KeyOf(request_, i));
    if (i == kMissing) continue;
    ASSERT_TRUE(Put(*store, i, 0, 20000).ok());
  }
  std::vector<std::string> rows(keys.size());
  const auto place = [&](size_t i, const EncodedTarget& coming, size_t size) -> char* {
    EXPECT_EQ(coming.shape, expected(i).shape);
    EXPECT_EQ(coming.checksum, expected(i).checksum);
    if (i == kWithoutPlace) return nullptr;
    rows[i].resize(size);
    return rows[i].data();
  };
  size_t delivered = 0;
  const auto deliver = [&](size_t i, absl::StatusOr<EncodedTarget> target) {
    EXPECT_EQ(i, delivered++);
    EXPECT_EQ(target.ok(), i != kMissing) << target.status();
    if (!target.ok()) return true;
    EXPECT_EQ(target->bytes, expected(i).bytes);
    const bool placed = target->bytes.data() == rows[i].data();
    EXPECT_EQ(target->owner == nullptr, placed);
    EXPECT_TRUE(placed || i == kWithoutPlace || !GetParam().places);
    return true;
  };
  store->ReadMany(keys, Use::kTraining, deliver, place);
  EXPECT_EQ(delivered, keys.size());
}

TEST_P(TargetStoreContract, AMissIsNotFound) {
  const auto store = Open();
  EXPECT_TRUE(absl::IsNotFound(store->Get(KeyOf(request_, 0)).status()));
  EXPECT_FALSE(store->Contains(KeyOf(request_, 0)));
}

TEST_P(TargetStoreContract, BytesOutliveDropAndStore) {
  auto store = Open();
  ASSERT_TRUE(
      store->Put(KeyOf(request_, 0), SetOf(request_), OriginOf(request_, 0), FakeTarget(3)).ok());
  const auto read = store->Get(KeyOf(request_, 0));
  ASSERT_TRUE(read.ok());
  ASSERT_TRUE(store->Drop(KeyOf(request_, 0)).ok());
  EXPECT_TRUE(absl::IsNotFound(store->Get(KeyOf(request_, 0)).status()));
  store.reset();
  EXPECT_EQ(read->bytes, FakeTarget(3).bytes);
}

TEST_P(TargetStoreContract, PuttingTwiceKeepsTheFirst) {
  const auto store = Open();
  ASSERT_TRUE(
      store->Put(KeyOf(request_, 0), SetOf(request_), OriginOf(request_, 0), FakeTarget(1)).ok());
  ASSERT_TRUE(
      store->Put(KeyOf(request_, 0), SetOf(request_), OriginOf(request_, 0), FakeTarget(2)).ok());
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
  EXPECT_TRUE(absl::IsDataLoss(
      store->Put(KeyOf(request_, 0), SetOf(request_), OriginOf(request_, 0), target)));
  EXPECT_FALSE(store->Contains(KeyOf(request_, 0)));
}

TEST_P(TargetStoreContract, CountsEntriesAndBytes) {
  const auto store = Open();
  ASSERT_TRUE(
      store->Put(KeyOf(request_, 0), SetOf(request_), OriginOf(request_, 0), FakeTarget(1, 10))
          .ok());
  ASSERT_TRUE(
      store->Put(KeyOf(request_, 1), SetOf(request_), OriginOf(request_, 1), FakeTarget(2, 20))
          .ok());
  ASSERT_TRUE(store->Drop(KeyOf(request_, 0)).ok());
  const StoreStats stats = store->stats();
  EXPECT_EQ(stats.entries, 1);
  EXPECT_EQ(stats.live_bytes, 80);
  EXPECT_TRUE(stats.storing);
}

TEST_P(TargetStoreContract, StopsStoringAtItsCapacity) {
  const auto store = Open(/*capacity_bytes=*/100);
  ASSERT_TRUE(
      store->Put(KeyOf(request_, 0), SetOf(request_), OriginOf(request_, 0), FakeTarget(1, 20))
          .ok());
  EXPECT_TRUE(absl::IsResourceExhausted(
      store->Put(KeyOf(request_, 1), SetOf(request_), OriginOf(request_, 1), FakeTarget(2, 20))));
  EXPECT_FALSE(store->Contains(KeyOf(request_, 1)));
  EXPECT_TRUE(store->Get(KeyOf(request_, 0)).ok()) << "reads go on";
  EXPECT_EQ(store->stats().refused, 1);
  EXPECT_EQ(store->stats().live_bytes, 80);
  ASSERT_TRUE(store->Drop(KeyOf(request_, 0)).ok());
  EXPECT_TRUE(
      store->Put(KeyOf(request_, 1), SetOf(request_), OriginOf(request_, 1), FakeTarget(2, 20))
          .ok());
}

TEST_P(TargetStoreContract, AFullStoreEvictsTheOldestOfUnleasedSets) {
  const auto store = Open(/*capacity_bytes=*/400);
  for (size_t i = 0; i < 3; ++i) ASSERT_TRUE(Put(*store, i, 0).ok());
  clock_.Advance(kLeaseTerm);
  for (size_t i = 0; i < 4; ++i) ASSERT_TRUE(Put(*store, i, 1).ok()) << i;
  EXPECT_FALSE(Holds(*store, 0, 0));
  EXPECT_FALSE(Holds(*store, 1, 0));
  EXPECT_TRUE(Holds(*store, 2, 0));
  for (size_t i = 0; i < 4; ++i) EXPECT_TRUE(store->Get(KeyOf(request_, i, 1)).ok());
  EXPECT_EQ(store->stats().live_bytes, 400);
  EXPECT_EQ(store->stats().entries, 5);
  EXPECT_EQ(store->stats().evicted, 2);
  EXPECT_EQ(store->stats().refused, 0);
  EXPECT_TRUE(store->stats().storing);
  EXPECT_TRUE(absl::IsNotFound(store->Get(KeyOf(request_, 0, 0)).status()));
  EXPECT_TRUE(Put(*store, 0, 1).ok()) << "an evicted target can be stored again";
}

TEST_P(TargetStoreContract, TrainingRenewsALeaseAndInspectionDoesNot) {
  const auto store = Open(/*capacity_bytes=*/80);
  ASSERT_TRUE(Put(*store, 0, 0).ok());
  clock_.Advance(kLeaseTerm - absl::Seconds(1));
  ASSERT_TRUE(store->Get(KeyOf(request_, 0, 0)).ok());
  clock_.Advance(kLeaseTerm - absl::Seconds(1));
  ASSERT_TRUE(store->Read(KeyOf(request_, 0, 0), Use::kInspection).ok());
  EXPECT_TRUE(store->ListSets()->front().leased);
  EXPECT_TRUE(absl::IsResourceExhausted(Put(*store, 0, 1))) << "all is leased";
  EXPECT_FALSE(store->stats().storing);
  clock_.Advance(absl::Seconds(1));
  EXPECT_FALSE(store->ListSets()->front().leased);
  EXPECT_TRUE(Put(*store, 0, 1).ok());
  EXPECT_TRUE(store->stats().storing);
  EXPECT_FALSE(Holds(*store, 0, 0));
}

TEST_P(TargetStoreContract, APinKeepsASetUntilItEndsOrIsReleased) {
  const auto store = Open(/*capacity_bytes=*/160);
  EXPECT_TRUE(absl::IsNotFound(store->Pin(IdOf(0), absl::Hours(1))));
  ASSERT_TRUE(Put(*store, 0, 0).ok());
  ASSERT_TRUE(Put(*store, 1, 0).ok());
  ASSERT_TRUE(store->Pin(IdOf(0), absl::Hours(24)).ok());
  clock_.Advance(absl::Hours(23));
  const StoredSet pinned = store->ListSets()->front();
  EXPECT_TRUE(pinned.leased);
  EXPECT_EQ(pinned.pin_term, absl::Hours(24));
  EXPECT_EQ(pinned.pinned_until, clock_.Now() + absl::Hours(1));
  EXPECT_TRUE(absl::IsResourceExhausted(Put(*store, 0, 1)));
  clock_.Advance(absl::Hours(1));
  EXPECT_TRUE(Put(*store, 0, 1).ok());
  EXPECT_EQ(store->ListSets()->size(), 2u);
  ASSERT_TRUE(store->Pin(IdOf(0), absl::Hours(24)).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(Put(*store, 1, 1)));
  ASSERT_TRUE(store->Pin(IdOf(0), absl::ZeroDuration()).ok());
  EXPECT_EQ(store->ListSets()->back().pin_term, absl::ZeroDuration());
  EXPECT_TRUE(Put(*store, 1, 1).ok());
}

TEST_P(TargetStoreContract, SettingTheClockEndsNoLease) {
  const auto store = Open(/*capacity_bytes=*/80);
  ASSERT_TRUE(Put(*store, 0, 0).ok());
  for (const absl::Duration jump : {absl::Hours(1000), -absl::Hours(2000)}) {
    clock_.Jump(jump);
    EXPECT_TRUE(absl::IsResourceExhausted(Put(*store, 0, 1))) << jump;
  }
  clock_.Advance(kLeaseTerm);
  EXPECT_TRUE(Put(*store, 0, 1).ok()) << "the lease is not prolonged either";
  ASSERT_TRUE(store->Pin(IdOf(1), absl::Hours(1)).ok());
  clock_.Jump(absl::Hours(1000));
  clock_.Advance(kLeaseTerm);
  EXPECT_TRUE(absl::IsResourceExhausted(Put(*store, 0, 0)));
}

TEST_P(TargetStoreContract, EvictsNothingInVain) {
  const auto store = Open(/*capacity_bytes=*/160);
  ASSERT_TRUE(Put(*store, 0, 0).ok());
  clock_.Advance(kLeaseTerm);
  EXPECT_TRUE(absl::IsResourceExhausted(Put(*store, 0, 1, /*elements=*/41))) << "164 bytes";
  EXPECT_TRUE(Holds(*store, 0, 0));
  ASSERT_TRUE(Put(*store, 1, 1).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(Put(*store, 2, 1, /*elements=*/21)));
  EXPECT_TRUE(Holds(*store, 0, 0)) << "84 bytes are more than the unleased 80";
}

TEST_P(TargetStoreContract, EvictsOnDemandWhatIsNotLeased) {
  const auto store = Open();
  for (size_t i = 0; i < 4; ++i) ASSERT_TRUE(Put(*store, i, i % 2).ok());
  EXPECT_EQ(*store->Evict(1000), 0);
  clock_.Advance(kLeaseTerm);
  ASSERT_TRUE(store->Get(KeyOf(request_, 1, 1)).ok());
  EXPECT_EQ(*store->Evict(1), 80);
  EXPECT_FALSE(Holds(*store, 0, 0));
  EXPECT_EQ(*store->Evict(1000), 80);
  EXPECT_EQ(store->stats().entries, 2);
  EXPECT_TRUE(store->Get(KeyOf(request_, 1, 1)).ok());
  EXPECT_TRUE(store->Get(KeyOf(request_, 3, 1)).ok());
}

TEST_P(TargetStoreContract, RemovesASet) {
  const auto store = Open();
  for (size_t i = 0; i < 4; ++i) ASSERT_TRUE(Put(*store, i, i % 2).ok());
  ASSERT_TRUE(store->Pin(IdOf(0), absl::Hours(1)).ok());
  EXPECT_EQ(*store->RemoveSet(IdOf(0)), 160);
  EXPECT_EQ(*store->RemoveSet(IdOf(0)), 0);
  EXPECT_EQ(store->stats().entries, 2);
  EXPECT_EQ(store->stats().live_bytes, 160);
  EXPECT_TRUE(absl::IsNotFound(store->Get(KeyOf(request_, 0, 0)).status()));
  EXPECT_TRUE(store->Get(KeyOf(request_, 1, 1)).ok());
  ASSERT_THAT(*store->ListSets(), SizeIs(1));
  EXPECT_TRUE(store->Reclaim({}).ok());
  ASSERT_TRUE(Put(*store, 0, 0).ok());
  EXPECT_EQ(store->Get(KeyOf(request_, 0, 0))->bytes, FakeTarget(0, 20).bytes);
  const std::vector<StoredSet> left = store->ListSets().value();
  for (const StoredSet& set : left) EXPECT_EQ(set.pin_term, absl::ZeroDuration());
}

TEST_P(TargetStoreContract, VisitsEntries) {
  const auto store = Open();
  for (size_t i = 0; i < 3; ++i) ASSERT_TRUE(Put(*store, i, i % 2).ok());
  std::vector<TargetKey> all, first;
  ASSERT_TRUE(store
                  ->Visit({},
                          [&](const StoredEntry& entry) {
                            EXPECT_EQ(entry.bytes, 80);
                            all.push_back(entry.key);
                            return absl::OkStatus();
                          })
                  .ok());
  ASSERT_TRUE(store
                  ->Visit(IdOf(0),
                          [&](const StoredEntry& entry) {
                            EXPECT_EQ(entry.set, IdOf(0));
                            first.push_back(entry.key);
                            return store->Drop(entry.key);
                          })
                  .ok());
  EXPECT_THAT(all, UnorderedElementsAre(KeyOf(request_, 0, 0), KeyOf(request_, 1, 1),
                                        KeyOf(request_, 2, 0)));
  EXPECT_THAT(first, UnorderedElementsAre(KeyOf(request_, 0, 0), KeyOf(request_, 2, 0)));
  EXPECT_EQ(store->stats().entries, 1);
  EXPECT_TRUE(absl::IsAborted(
      store->Visit({}, [](const StoredEntry&) { return absl::AbortedError("enough"); })));
}

TEST_P(TargetStoreContract, KeepsWhatTargetsWereMadeOf) {
  const auto store = Open();
  for (size_t i = 0; i < 3; ++i) ASSERT_TRUE(Put(*store, i).ok());
  int visited = 0;
  const auto visit = [&](const StoredEntry& entry) {
    ++visited;
    EXPECT_TRUE(entry.origin.has_value());
    EXPECT_EQ(MakeTargetKey(SetOf(request_), entry.origin.value_or(TargetOrigin())), entry.key);
    return absl::OkStatus();
  };
  ASSERT_TRUE(store->Visit(IdOf(0), visit).ok());
  EXPECT_EQ(visited, 3);
}

TEST_P(TargetStoreContract, ListsSetsThatHoldTargets) {
  const auto store = Open();
  ASSERT_TRUE(
      store
          ->Put(KeyOf(request_, 0, 0), SetOf(request_, 0), OriginOf(request_, 0), FakeTarget(1, 10))
          .ok());
  ASSERT_TRUE(
      store
          ->Put(KeyOf(request_, 1, 0), SetOf(request_, 0), OriginOf(request_, 1), FakeTarget(2, 10))
          .ok());
  ASSERT_TRUE(
      store
          ->Put(KeyOf(request_, 0, 1), SetOf(request_, 1), OriginOf(request_, 0), FakeTarget(3, 10))
          .ok());
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
    ASSERT_TRUE(
        store->Put(KeyOf(request_, i), SetOf(request_), OriginOf(request_, i), FakeTarget(1, 10))
            .ok());
  }
  const auto report = VerifyStore(*store, {});
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->entries, 5);
  EXPECT_EQ(report->bytes, 200);
  EXPECT_EQ(report->corrupted, 0);
  FetchContext cancelled{.cancellation = std::make_shared<Cancellation>()};
  cancelled.cancellation->Cancel();
  EXPECT_TRUE(absl::IsCancelled(VerifyStore(*store, cancelled).status()));
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
        EXPECT_TRUE(
            store
                ->Put(KeyOf(request_, i), SetOf(request_), OriginOf(request_, i), FakeTarget(i, 64))
                .ok());
        EXPECT_EQ(store->Get(KeyOf(request_, i))->bytes, FakeTarget(i, 64).bytes);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(store->stats().entries, 8);
  EXPECT_EQ(store->stats().live_bytes, 8 * 256);
}

}  // namespace
}  // namespace reflux
