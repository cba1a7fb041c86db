#include "cache/caching_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <latch>
#include <thread>
#include <vector>

#include "cache/memory_target_store.h"
#include "cache/rocks_target_store.h"
#include "common/targets/located_target.h"
#include "tests/contract/cache_fixtures.h"
#include "tests/contract/rewrite_stored_value.h"
#include "tests/support/fake_clock.h"

namespace reflux {
namespace {

using ::testing::SizeIs;

class CachingSourceTest : public testing::Test {
 protected:
  std::unique_ptr<CachingSource> Make(const CachingSourceOptions& options = {}) {
    return MakeCachingSource(store_, teacher_, options);
  }
  void ExpectAll(const TargetRequest& request, const CollectingSink& sink) {
    ASSERT_EQ(sink.size(), request.samples.size() * request.specs.size());
    for (size_t i = 0; i < request.samples.size(); ++i) {
      for (size_t j = 0; j < request.specs.size(); ++j) {
        ASSERT_TRUE(sink.at(i, j).ok()) << sink.at(i, j).status();
        EXPECT_EQ(sink.at(i, j)->bytes, teacher_.Expected(request, i, j).bytes);
      }
    }
  }

  MemoryTargetStore store_;
  FakeTeacher teacher_;
};

TEST_F(CachingSourceTest, FetchesOnceThenServesFromTheStore) {
  const auto source = Make();
  const TargetRequest request = FakeRequest(4, 2);
  for (int pass = 0; pass < 2; ++pass) {
    CollectingSink sink;
    ASSERT_TRUE(source->Fetch({}, request, sink).ok());
    ExpectAll(request, sink);
  }
  ASSERT_THAT(teacher_.calls(), SizeIs(1)) << "all misses in one request";
  EXPECT_EQ(teacher_.calls()[0].samples, 4u);
  EXPECT_EQ(teacher_.calls()[0].specs, 2u);
  EXPECT_EQ(source->counts().hits, 8);
  EXPECT_EQ(source->counts().misses, 8);
  EXPECT_EQ(source->counts().fills, 8);
}

TEST_F(CachingSourceTest, AsksUpstreamOnlyForWhatIsMissing) {
  const auto source = Make();
  CollectingSink first, second;
  ASSERT_TRUE(source->Fetch({}, FakeRequest(2, 1), first).ok());
  const TargetRequest request = FakeRequest(4, 2);  // logits of 0 and 1 are there
  ASSERT_TRUE(source->Fetch({}, request, second).ok());
  ExpectAll(request, second);
  EXPECT_EQ(teacher_.targets(), 8);
  EXPECT_THAT(teacher_.calls(), SizeIs(3)) << "one request a set of missing specs";
}

TEST_F(CachingSourceTest, ASampleThatComesTwiceIsFetchedOnce) {
  const auto source = Make();
  TargetRequest request = FakeRequest(2);
  request.samples.push_back(request.samples[0]);
  CollectingSink sink;
  ASSERT_TRUE(source->Fetch({}, request, sink).ok());
  ExpectAll(request, sink);
  EXPECT_EQ(teacher_.targets(), 2);
}

// Takes a location for a delivery, and reads what lies there.
struct LocatingSink : CollectingSink {
  bool takes_locations() const override { return true; }
  void DeliverLocation(size_t sample, size_t spec, const EncodedTarget& coming,
                       const TargetLocation& location) override {
    ++located;
    EXPECT_TRUE(coming.bytes.empty());
    Deliver(sample, spec, ReadLocated(coming, location, nullptr, blocks));
  }
  int located = 0;
  BlockPool blocks{size_t{1} << 20};
};

TEST_F(CachingSourceTest, TellsWhereTargetsLieToWhoReadsThem) {
  constexpr size_t kMany = 60;
  TemporaryFolder folder;
  FakeClock clock;
  auto store = RocksTargetStore::Open({.directory = folder.path() + "/cache",
                                       .min_free_disk_bytes = 0,
                                       .table_bytes = 256 << 10,
                                       .clock = &clock});
  ASSERT_TRUE(store.ok()) << store.status();
  FakeTeacher teacher(/*elements=*/5000);  // 20 kB: some of them come to lie in tables
  const auto source = MakeCachingSource(**store, teacher);
  const TargetRequest request = FakeRequest(kMany);
  LocatingSink first, second;
  ASSERT_TRUE(source->Fetch({}, request, first).ok());
  clock.Advance(kLeaseTerm);
  EXPECT_FALSE((*store)->ListSets()->front().leased);
  ASSERT_TRUE(source->Fetch({}, request, second).ok());
  EXPECT_GT(second.located, 0);
  ASSERT_EQ(second.size(), kMany);
  for (size_t i = 0; i < kMany; ++i) {
    ASSERT_TRUE(second.at(i).ok()) << second.at(i).status();
    EXPECT_EQ(second.at(i)->bytes, teacher.Expected(request, i).bytes);
  }
  EXPECT_EQ(source->counts().hits, static_cast<int64_t>(kMany));
  EXPECT_TRUE((*store)->ListSets()->front().leased) << "also by those that were only located";
}

TEST_F(CachingSourceTest, DiscardStoresAndDeliversNoBytes) {
  const auto source = Make();
  const TargetRequest request = FakeRequest(3, 2);
  CollectingSink discarded, again, read;
  ASSERT_TRUE(source->storing().Fetch({}, request, discarded).ok());
  ASSERT_TRUE(source->storing().Fetch({}, request, again).ok());
  for (size_t i = 0; i < 3; ++i) {
    for (size_t j = 0; j < 2; ++j) {
      ASSERT_TRUE(discarded.at(i, j).ok() && again.at(i, j).ok());
      EXPECT_TRUE(discarded.at(i, j)->bytes.empty());
    }
  }
  ASSERT_TRUE(source->Fetch({}, request, read).ok());
  ExpectAll(request, read);
  EXPECT_EQ(teacher_.targets(), 6) << "each once";
  EXPECT_EQ(source->counts().hits, 6) << "of the third call alone";
}

TEST_F(CachingSourceTest, DiscardSaysWhatCouldNotBeStored) {
  MemoryTargetStore small(/*capacity_bytes=*/2 * 64);
  const auto source = MakeCachingSource(small, teacher_);
  CollectingSink sink;
  ASSERT_TRUE(source->storing().Fetch({}, FakeRequest(3), sink).ok());
  int stored = 0;
  for (size_t i = 0; i < 3; ++i) {
    stored += sink.at(i).ok();
    if (sink.at(i).ok()) continue;
    EXPECT_TRUE(absl::IsFailedPrecondition(sink.at(i).status()));
  }
  EXPECT_EQ(stored, 2);
  EXPECT_EQ(teacher_.targets(), 3) << "not fetched again past the store";
}

TEST_F(CachingSourceTest, ManyCallersShareOneFetch) {
  const auto source = Make();
  const TargetRequest request = FakeRequest(3, 2);
  constexpr int kCallers = 8;
  std::latch started(kCallers);
  std::vector<std::thread> threads;
  for (int i = 0; i < kCallers; ++i) {
    threads.emplace_back([&] {
      CollectingSink sink;
      started.arrive_and_wait();
      EXPECT_TRUE(source->Fetch({}, request, sink).ok());
      ExpectAll(request, sink);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(teacher_.targets(), 6);
}

TEST_F(CachingSourceTest, AFailureGoesToTheWaitersAndIsNotKept) {
  const auto source = Make();
  const TargetRequest request = FakeRequest(3);
  teacher_.set_hook([&](const FetchContext&, const SampleRef& sample, const TargetSpec&) {
    return sample.digest == request.samples[1].digest ? absl::UnavailableError("went away")
                                                      : absl::OkStatus();
  });
  CollectingSink failing;
  ASSERT_TRUE(source->Fetch({}, request, failing).ok());
  EXPECT_TRUE(failing.at(0).ok());
  EXPECT_TRUE(absl::IsUnavailable(failing.at(1).status()));
  EXPECT_TRUE(failing.at(2).ok());
  teacher_.set_hook(nullptr);
  CollectingSink again;
  ASSERT_TRUE(source->Fetch({}, request, again).ok());
  ExpectAll(request, again);
  EXPECT_EQ(teacher_.targets(), 3) << "only the failed one is fetched again";
}

TEST_F(CachingSourceTest, UpstreamsRefusalIsDelivered) {
  const auto source = Make();
  teacher_.set_refusal(absl::FailedPreconditionError("another teacher"));
  CollectingSink sink;
  ASSERT_TRUE(source->Fetch({}, FakeRequest(2), sink).ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(sink.at(0).status()));
  EXPECT_TRUE(absl::IsFailedPrecondition(sink.at(1).status()));
}

TEST_F(CachingSourceTest, SampleNeededGoesToTheCallerAndTheImageUpstream) {
  const auto source = Make();
  teacher_.set_hook([](const FetchContext&, const SampleRef& sample, const TargetSpec&) {
    return sample.image == nullptr ? SampleNeededError(sample) : absl::OkStatus();
  });
  TargetRequest request = FakeRequest(1);
  CollectingSink without, with;
  ASSERT_TRUE(source->Fetch({}, request, without).ok());
  EXPECT_TRUE(IsSampleNeeded(without.at(0).status()));
  request.samples[0].image = std::make_shared<const std::string>("jpeg");
  ASSERT_TRUE(source->Fetch({}, request, with).ok());
  ExpectAll(request, with);
}

// A teacher that waits until it is let go, or until nobody waits for it any more.
struct Gate {
  Mutex mutex;
  CondVar changed;
  bool entered = false, open = false, cancelled = false;

  absl::Status Pass(const FetchContext& context) {
    auto registration = context.cancellation->OnCancel([this] { Set(cancelled); });
    MutexLock lock(mutex);
    entered = true;
    changed.NotifyAll();
    while (!open && !cancelled) changed.Wait(mutex);
    return open ? absl::OkStatus() : absl::CancelledError("nobody waits");
  }
  void Set(bool& flag) {
    MutexLock lock(mutex);
    flag = true;
    changed.NotifyAll();
  }
  void Await(const bool& flag) {
    MutexLock lock(mutex);
    while (!flag) changed.Wait(mutex);
  }
};

TEST_F(CachingSourceTest, AFillOutlivesItsFirstCaller) {
  Gate gate, joined;  // outlive the source, whose destructor waits for its fills
  const auto source = Make();
  teacher_.set_hook([&](const FetchContext& context, const SampleRef&, const TargetSpec&) {
    return gate.Pass(context);
  });
  const TargetRequest request = FakeRequest(1);
  FetchContext impatient{.cancellation = std::make_shared<Cancellation>()};
  CollectingSink first, second;
  std::thread caller([&] { EXPECT_TRUE(source->Fetch(impatient, request, first).ok()); });
  gate.Await(gate.entered);
  // The second caller has joined when its first target, of a sample of its own, is asked for.
  TargetRequest both = FakeRequest(2);
  teacher_.set_hook([&](const FetchContext&, const SampleRef&, const TargetSpec&) {
    joined.Set(joined.entered);
    return absl::OkStatus();
  });
  std::thread other([&] { EXPECT_TRUE(source->Fetch({}, both, second).ok()); });
  joined.Await(joined.entered);
  impatient.cancellation->Cancel();
  caller.join();
  EXPECT_TRUE(absl::IsCancelled(first.at(0).status()));
  gate.Set(gate.open);
  other.join();
  ExpectAll(both, second);
  EXPECT_FALSE(gate.cancelled);
  EXPECT_EQ(teacher_.targets(), 2);
}

TEST_F(CachingSourceTest, AFillEndsWithItsLastCaller) {
  Gate gate;  // outlives the source, whose destructor waits for the fill
  const auto source = Make();
  teacher_.set_hook([&](const FetchContext& context, const SampleRef&, const TargetSpec&) {
    return gate.Pass(context);
  });
  const TargetRequest request = FakeRequest(1);
  FetchContext context{.cancellation = std::make_shared<Cancellation>()};
  CollectingSink sink;
  std::thread caller([&] { EXPECT_TRUE(source->Fetch(context, request, sink).ok()); });
  gate.Await(gate.entered);
  context.cancellation->Cancel();
  caller.join();
  EXPECT_TRUE(absl::IsCancelled(sink.at(0).status()));
  gate.Await(gate.cancelled);
  teacher_.set_hook(nullptr);
  CollectingSink again;
  ASSERT_TRUE(source->Fetch({}, request, again).ok());
  ExpectAll(request, again);
}

TEST_F(CachingSourceTest, ADeadlineEndsTheWait) {
  Gate gate;  // outlives the source, whose destructor waits for the fill
  const auto source = Make();
  teacher_.set_hook([&](const FetchContext& context, const SampleRef&, const TargetSpec&) {
    return gate.Pass(context);
  });
  CollectingSink sink;
  const FetchContext context{.deadline = absl::Now() + absl::Milliseconds(5)};
  ASSERT_TRUE(source->Fetch(context, FakeRequest(1), sink).ok());
  EXPECT_TRUE(absl::IsDeadlineExceeded(sink.at(0).status()));
}

TEST_F(CachingSourceTest, AFullStorePassesTargetsThrough) {
  MemoryTargetStore full(/*capacity_bytes=*/64);
  const auto source = MakeCachingSource(full, teacher_);
  const TargetRequest request = FakeRequest(3);
  for (int pass = 0; pass < 2; ++pass) {
    CollectingSink sink;
    ASSERT_TRUE(source->Fetch({}, request, sink).ok());
    ExpectAll(request, sink);
  }
  EXPECT_EQ(source->counts().passed_through, 4);
  EXPECT_EQ(full.stats().entries, 1);
}

TEST_F(CachingSourceTest, HoldsABoundedNumberOfBytes) {
  // Nothing may be held: what is stored is read back, what is not is asked for again.
  MemoryTargetStore full(/*capacity_bytes=*/64);
  const auto source = MakeCachingSource(full, teacher_, {.max_held_bytes = 0});
  const TargetRequest request = FakeRequest(3);
  CollectingSink sink;
  ASSERT_TRUE(source->Fetch({}, request, sink).ok());
  ExpectAll(request, sink);
  EXPECT_EQ(teacher_.targets(), 3 + 2);
}

TEST_F(CachingSourceTest, ACorruptedEntryIsFetchedAgain) {
  TemporaryFolder folder;
  const RocksTargetStoreOptions options{.directory = folder.path(), .min_free_disk_bytes = 0};
  const TargetRequest request = FakeRequest(3);
  {
    const auto store = RocksTargetStore::Open(options);
    ASSERT_TRUE(store.ok()) << store.status();
    CollectingSink sink;
    ASSERT_TRUE(MakeCachingSource(**store, teacher_)->Fetch({}, request, sink).ok());
  }
  ASSERT_TRUE(RewriteStoredValue(
                  folder.path(), 1, [](std::string& value) { value[7] ^= 1; }, IndexChecksum::kKept)
                  .ok());
  const auto store = RocksTargetStore::Open(options);
  ASSERT_TRUE(store.ok()) << store.status();
  const auto source = MakeCachingSource(**store, teacher_);
  for (int pass = 0; pass < 2; ++pass) {
    CollectingSink sink;
    ASSERT_TRUE(source->Fetch({}, request, sink).ok());
    ExpectAll(request, sink);
  }
  EXPECT_EQ(source->counts().corrupted, 1);
  EXPECT_EQ(teacher_.targets(), 4);
  EXPECT_EQ((*store)->stats().entries, 3);
}

TEST_F(CachingSourceTest, RemembersTheTeacherWhenItIsAway) {
  {
    const auto source = Make();
    ASSERT_TRUE(source->GetTeacherInfo({}).ok());
    teacher_.set_refusal(absl::UnavailableError("gone"));
    EXPECT_TRUE(source->GetTeacherInfo({}).ok());
  }
  const auto absent = MakeAbsentTeacher();
  const auto source = MakeCachingSource(store_, *absent);
  const auto info = source->GetTeacherInfo({});
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->identity, FakeIdentity());
  EXPECT_EQ(info->model, "fake");
  CollectingSink sink;
  ASSERT_TRUE(source->Fetch({}, FakeRequest(1), sink).ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(sink.at(0).status()));
  MemoryTargetStore fresh;
  EXPECT_TRUE(absl::IsNotFound(MakeCachingSource(fresh, *absent)->GetTeacherInfo({}).status()));
}

TEST_F(CachingSourceTest, NamesTheModelOfItsSets) {
  const auto source = Make();
  ASSERT_TRUE(source->GetTeacherInfo({}).ok());
  CollectingSink sink;
  ASSERT_TRUE(source->Fetch({}, FakeRequest(2, 2), sink).ok());
  const auto sets = store_.ListSets();
  ASSERT_TRUE(sets.ok());
  ASSERT_THAT(*sets, SizeIs(2));
  EXPECT_EQ((*sets)[0].set.DisplayName(), "fake/fake@" + FakeIdentity().digest.Short());
}

TEST_F(CachingSourceTest, AnswersOfAnotherCodecAreRefused) {
  const auto source = Make();
  TargetRequest request = FakeRequest(1);
  request.specs[0].codec = Codec::kFp16;  // the fake always answers fp32
  CollectingSink sink;
  ASSERT_TRUE(source->Fetch({}, request, sink).ok());
  EXPECT_TRUE(absl::IsInternal(sink.at(0).status()));
  EXPECT_EQ(store_.stats().entries, 0);
}

}  // namespace
}  // namespace reflux
