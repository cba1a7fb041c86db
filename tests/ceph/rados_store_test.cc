// The store on Ceph beside other servers and after crashes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cache/rados/rados_format.h"
#include "cache/rados/rados_index.h"
#include "cache/rados/rados_namespace.h"
#include "cache/rados/rados_values.h"
#include "cache/verify_store.h"
#include "tests/ceph/rados_store_fixture.h"
#include "tests/contract/store_child.h"
#include "tests/support/fake_clock.h"

namespace reflux {
namespace {

TEST_F(RadosStoreTest, ServersShareTargetsCountsAndMeta) {
  const auto a = Open(), b = Open();
  for (size_t i = 0; i < 20; ++i) ASSERT_TRUE(Put(i % 2 == 0 ? *a : *b, i, i % 2).ok());
  for (size_t i = 0; i < 20; ++i) {
    for (TargetStore* store : {a.get(), b.get()}) {
      const auto target = store->Get(Key(i, i % 2));
      ASSERT_TRUE(target.ok()) << target.status();
      EXPECT_EQ(target->bytes, FakeTarget(static_cast<int>(i), 20).bytes);
    }
  }
  for (TargetStore* store : {a.get(), b.get()}) {
    const auto sets = store->ListSets();
    ASSERT_TRUE(sets.ok()) << sets.status();
    ASSERT_EQ(sets->size(), 2u);
    EXPECT_EQ(sets->at(0).entries, 10);
    EXPECT_EQ(sets->at(1).bytes, 800);
    EXPECT_EQ(store->stats().entries, 20);
    EXPECT_EQ(store->stats().live_bytes, 1600);
  }
  ASSERT_TRUE(a->PutMeta("teacher_info", "x").ok());
  EXPECT_EQ(*b->GetMeta("teacher_info"), "x");
  const auto other = Open(StoreOptions(FreshStoreName()));
  EXPECT_TRUE(absl::IsNotFound(other->Get(Key(0)).status())) << "another name, another store";
  EXPECT_TRUE(absl::IsNotFound(other->GetMeta("teacher_info").status()));
}

TEST_F(RadosStoreTest, WhatOneServerRemovesTheOtherMisses) {
  const auto a = Open(), b = Open();
  ASSERT_TRUE(Put(*a, 0).ok());
  ASSERT_TRUE(b->Get(Key(0)).ok()) << "b knows where it lies";
  ASSERT_TRUE(a->Drop(Key(0)).ok());
  EXPECT_TRUE(absl::IsNotFound(b->Get(Key(0)).status()));
  EXPECT_FALSE(b->Contains(Key(0)));
  ASSERT_TRUE(Put(*b, 0).ok());
  EXPECT_TRUE(a->Get(Key(0)).ok());
}

TEST_F(RadosStoreTest, ServersThatPutTheSameTargetsAtOnceCountThemOnce) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([this] {
      const auto store = Open();
      for (size_t i = 0; i < 50; ++i) EXPECT_TRUE(Put(*store, i).ok());
    });
  }
  for (std::thread& thread : threads) thread.join();
  const auto store = Open();
  EXPECT_EQ(store->stats().entries, 50);
  EXPECT_EQ(store->stats().live_bytes, 50 * 80);
  EXPECT_EQ(Objects(*Space(SetNamespace(name_, IdOf(0)))).size(), 50u);
  EXPECT_EQ(VerifyStore(*store, {})->corrupted, 0);
}

TEST_F(RadosStoreTest, TheCapacityIsOneForAllServers) {
  RadosStoreOptions options = StoreOptions(name_);
  options.capacity_bytes = 800;
  options.refresh_after = absl::ZeroDuration();
  const auto a = Open(options), b = Open(options);
  for (size_t i = 0; i < 10; ++i) ASSERT_TRUE(Put(i % 2 == 0 ? *a : *b, i).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(Put(*a, 10)));
  EXPECT_TRUE(absl::IsResourceExhausted(Put(*b, 10)));
  ASSERT_TRUE(a->Drop(Key(0)).ok());
  EXPECT_TRUE(Put(*b, 10).ok());
}

TEST_F(RadosStoreTest, ALeaseAndAPinOfOneServerBindTheOthers) {
  FakeClock ours, theirs;
  RadosStoreOptions options = StoreOptions(name_);
  options.capacity_bytes = 160;
  options.clock = &ours;
  const auto a = Open(options);
  theirs.Jump(-absl::Hours(5));  // hosts need not agree on the time
  options.clock = &theirs;
  const auto b = Open(options);
  const auto pass = [&](absl::Duration time) {
    ours.Advance(time);
    theirs.Advance(time);
  };
  ASSERT_TRUE(Put(*a, 0, 0).ok());
  ASSERT_TRUE(Put(*a, 1, 0).ok());
  ASSERT_TRUE(b->ListSets().ok());
  pass(kLeaseTerm - absl::Seconds(1));
  ASSERT_TRUE(a->Get(Key(0)).ok()) << "renewed at a, and told";
  pass(absl::Seconds(2));
  EXPECT_TRUE(absl::IsResourceExhausted(Put(*b, 0, 1))) << "b keeps away from it";
  ASSERT_TRUE(a->Pin(IdOf(0), absl::Hours(24)).ok());
  pass(absl::Hours(1));
  EXPECT_TRUE(absl::IsResourceExhausted(Put(*b, 0, 1)));
  ASSERT_TRUE(b->Pin(IdOf(0), absl::ZeroDuration()).ok());
  pass(kLeaseTerm);
  EXPECT_TRUE(Put(*b, 0, 1).ok());
  EXPECT_TRUE(a->Contains(Key(1)));
  EXPECT_TRUE(absl::IsNotFound(a->Get(Key(0)).status())) << "the oldest went";
}

TEST_F(RadosStoreTest, TheIndexIsRebuiltFromAListing) {
  auto store = Open();
  for (size_t i = 0; i < 20; ++i) ASSERT_TRUE(Put(*store, i, i % 2).ok());
  store.reset();
  const auto control = Space(name_);
  for (int shard = 0; shard < kRadosShards; ++shard) {
    ASSERT_TRUE(control->Remove(ShardName(shard)).ok());
  }
  store = Open();
  EXPECT_EQ(store->stats().entries, 0);
  EXPECT_TRUE(absl::IsNotFound(store->Get(Key(0)).status()));
  ASSERT_TRUE(store->Reclaim({}).ok());
  EXPECT_EQ(store->stats().entries, 20);
  EXPECT_EQ(store->stats().live_bytes, 1600);
  for (size_t i = 0; i < 20; ++i) {
    EXPECT_EQ(store->Get(Key(i, i % 2))->bytes, FakeTarget(static_cast<int>(i), 20).bytes);
  }
  EXPECT_EQ(store->ListSets()->size(), 2u);
  // With what each was made of: its key can be computed from it.
  ASSERT_TRUE(store
                  ->Visit({},
                          [&](const StoredEntry& entry) {
                            const size_t spec = entry.set == IdOf(0) ? 0 : 1;
                            EXPECT_TRUE(entry.origin.has_value());
                            EXPECT_EQ(MakeTargetKey(SetOf(request_, spec), *entry.origin),
                                      entry.key);
                            return absl::OkStatus();
                          })
                  .ok());
}

TEST_F(RadosStoreTest, ReclaimMendsWhatACrashLeft) {
  const auto store = Open();
  for (size_t i = 0; i < 3; ++i) ASSERT_TRUE(Put(*store, i).ok());
  const auto space = Space(SetNamespace(name_, IdOf(0)));
  // A value without its entry, one that is not whole, an entry without its value, a wrong count.
  const EncodedTarget target = FakeTarget(7, 20);
  ASSERT_TRUE(WriteValue(*space,
                         {.size = target.bytes.size(),
                          .key = Key(7),
                          .set = IdOf(0),
                          .form = RadosForm::Of(target),
                          .origin = OriginOf(request_, 7)},
                         target.bytes)
                  .ok());
  ASSERT_TRUE(space->Create(HeadName(Key(8)), "not a target", "").ok());
  ASSERT_TRUE(space->Remove(HeadName(Key(0))).ok());
  EXPECT_TRUE(absl::IsDataLoss(store->Get(Key(0)).status()));
  const auto control = Space(name_);
  const std::string shard = ShardName(ShardOf(Key(1))), count = CountName(IdOf(0));
  const RadosCount before = *DecodeRadosCount(control->ReadMap({shard, {count}})->at(count));
  const RadosCount wrong{.revision = before.revision + 1, .entries = 500, .bytes = 7};
  ASSERT_TRUE(control->ChangeMap(shard, {.set = {{count, EncodeRadosCount(wrong)}}}).ok());
  EXPECT_EQ(*store->Reclaim({}), 12) << "the bytes of what was not whole";
  EXPECT_EQ(store->stats().entries, 3);
  EXPECT_EQ(store->stats().live_bytes, 240);
  EXPECT_EQ(Open()->stats().entries, 3);
  EXPECT_TRUE(absl::IsNotFound(store->Get(Key(0)).status()));
  EXPECT_EQ(store->Get(Key(7))->bytes, target.bytes);
  EXPECT_FALSE(store->Contains(Key(8)));
}

TEST_F(RadosStoreTest, NothingAcknowledgedIsLostByAKill) {
  for (const int32_t kill_after : {1, 25, 90}) {
    const std::string name = FreshStoreName();
    std::string why;
    const StoreChild child =
        StoreChild::Start(REFLUX_RADOS_CHILD, SharedCluster(why)->configuration(), name);
    ASSERT_GT(child.pid, 0);
    int32_t last = -1, number = 0;
    while (read(child.output, &number, sizeof(number)) == sizeof(number)) {
      last = number;
      if (number + 1 == kill_after) kill(child.pid, SIGKILL);
    }
    close(child.input);
    close(child.output);
    int status = 0;
    ASSERT_EQ(waitpid(child.pid, &status, 0), child.pid);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child exited by itself: " << WEXITSTATUS(status);
    ASSERT_GE(last + 1, kill_after);
    const auto store = Open(StoreOptions(name));
    for (int32_t i = 0; i <= last; ++i) {
      const auto target = store->Get(KeyOf(FakeRequest(1, 1, i), 0));
      ASSERT_TRUE(target.ok()) << "target " << i << " of " << last << ": " << target.status();
      ASSERT_EQ(target->bytes, FakeTarget(i, kStoreChildElements).bytes);
    }
    const auto report = VerifyStore(*store, {});
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_EQ(report->corrupted, 0);
    EXPECT_EQ(report->entries, store->stats().entries) << "counts are right after the kill";
    EXPECT_EQ(report->bytes, store->stats().live_bytes);
    EXPECT_LE(store->stats().entries, last + 2);
  }
}

TEST_F(RadosStoreTest, SaysWhyItCannotOpen) {
  RadosStoreOptions options = StoreOptions(name_);
  options.pool = "no-such-pool";
  EXPECT_TRUE(absl::IsNotFound(OpenRadosStore(options).status()));
  options = StoreOptions(name_);
  options.configuration = "/no/such/file";
  EXPECT_TRUE(absl::IsInvalidArgument(OpenRadosStore(options).status()));
  ASSERT_TRUE(Space(name_)->Replace("format", "3\n", "").ok());
  const auto newer = OpenRadosStore(StoreOptions(name_));
  EXPECT_TRUE(absl::IsFailedPrecondition(newer.status())) << newer.status();
}

TEST_F(RadosStoreTest, AClusterThatDoesNotAnswerIsAnErrorInTime) {
  TemporaryFolder folder;
  const std::string file = folder.path() + "/ceph.conf";
  std::FILE* out = std::fopen(file.c_str(), "w");
  std::fputs("[global]\nmon host = [v2:127.0.0.1:1/0]\nauth client required = none\n", out);
  std::fclose(out);
  const auto store =
      OpenRadosStore({.pool = "p", .configuration = file, .timeout = absl::Seconds(1)});
  EXPECT_TRUE(absl::IsUnavailable(store.status())) << store.status();
}

}  // namespace
}  // namespace reflux
