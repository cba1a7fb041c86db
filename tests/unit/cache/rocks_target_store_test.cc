// What is special to the store on disk: opening, errors, durability of what it counted.
#include "cache/rocks_target_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <limits>
#include <thread>

#include "absl/strings/str_cat.h"
#include "cache/index_record.h"
#include "cache/rocks_handles.h"
#include "cache/verify_store.h"
#include "common/base/file.h"
#include "tests/contract/cache_fixtures.h"
#include "tests/contract/rewrite_stored_value.h"
#include "tests/contract/store_child.h"
#include "tests/support/fake_clock.h"

namespace reflux {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

class RocksTargetStoreTest : public testing::Test {
 protected:
  std::unique_ptr<RocksTargetStore> Open() {
    auto store = RocksTargetStore::Open(options_);
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  }
  void Put(TargetStore& store, size_t sample, int32_t elements = 16) {
    ASSERT_TRUE(store
                    .Put(KeyOf(request_, sample), SetOf(request_), OriginOf(request_, sample),
                         FakeTarget(static_cast<int>(sample), elements))
                    .ok());
  }

  TemporaryFolder folder_;
  FakeClock clock_;
  RocksTargetStoreOptions options_{
      .directory = folder_.path() + "/cache", .min_free_disk_bytes = 0, .clock = &clock_};
  const TargetRequest request_ = FakeRequest(8);
};

TEST(IndexRecordTest, RoundTripsAndMatchesTheGoldenBytes) {
  IndexRecord record{.insertion = 258,
                     .size = 8,
                     .checksum = 0x0102030405060708,
                     .dtype = DType::kFloat16,
                     .codec = Codec::kFp16,
                     .shape = {1, 2, 2}};
  record.set.digest.bytes.fill(0xab);
  const std::string bytes = EncodeIndexRecord(record);
  std::string golden("\x01\0\0\0\0\0\0\x01\x02\0\0\0\0\0\0\0\x08\x01\x02\x03\x04\x05\x06\x07\x08",
                     25);
  golden += std::string(32, '\xab');
  golden += std::string("\x03\x03\0\0\0\x01\0\0\0\x02\0\0\0\x02", 14);
  EXPECT_EQ(bytes, golden);
  EXPECT_EQ(*DecodeIndexRecord(bytes), record);
  const TargetKey key{Sha256::Of("key")};
  EXPECT_EQ(EncodeOrderRecord(key, record), std::string(key.digest.AsBytes()) + golden);
  TargetKey decoded_key;
  IndexRecord decoded;
  ASSERT_TRUE(
      DecodeOrderRecord(EncodeInsertion(258), EncodeOrderRecord(key, record), decoded_key, decoded)
          .ok());
  EXPECT_EQ(decoded_key, key);
  EXPECT_EQ(decoded, record);
  EXPECT_EQ(EncodeInsertion(258), std::string("\0\0\0\0\0\0\x01\x02", 8));
  EXPECT_EQ(*DecodeInsertion(EncodeInsertion(258)), 258u);
}

TEST(IndexRecordTest, KeepsTheOrigin) {
  IndexRecord record{.size = 8, .shape = {1, 1, 2}};
  std::string golden = EncodeIndexRecord(record);
  golden[0] = '\x02';
  record.origin = TargetOrigin{.view = {.resized_height = 258,
                                        .resized_width = 2,
                                        .crop_y = 3,
                                        .crop_x = 1,
                                        .crop_height = 5,
                                        .crop_width = 6,
                                        .flip = true}};
  record.origin->sample.bytes.fill(0xcd);
  golden += std::string(32, '\xcd');
  golden += std::string("\0\0\1\2\0\0\0\2\0\0\0\3\0\0\0\1\0\0\0\5\0\0\0\6\1", 25);
  golden += std::string(32, '\0');
  EXPECT_EQ(EncodeIndexRecord(record), golden);
  EXPECT_EQ(*DecodeIndexRecord(golden), record);
  EXPECT_TRUE(absl::IsDataLoss(DecodeIndexRecord(golden.substr(0, 159)).status()));
  golden[103 + 24] = '\x08';  // beyond flip and decode_shrink
  EXPECT_TRUE(absl::IsDataLoss(DecodeIndexRecord(golden).status()));
}

TEST(IndexRecordTest, RefusesWhatItDidNotWrite) {
  const std::string good = EncodeIndexRecord({.size = 8, .shape = {1, 1, 2}});
  EXPECT_TRUE(absl::IsDataLoss(DecodeIndexRecord(good.substr(1)).status()));
  for (const size_t field : {size_t{0}, size_t{9}, size_t{57}, size_t{58}}) {
    std::string bad = good;
    bad[field] = '\x40';
    EXPECT_TRUE(absl::IsDataLoss(DecodeIndexRecord(bad).status())) << "byte " << field;
  }
  TargetKey key;
  IndexRecord record;
  const std::string order = EncodeOrderRecord(key, {.insertion = 5, .shape = {1, 1, 2}});
  EXPECT_TRUE(DecodeOrderRecord(EncodeInsertion(5), order, key, record).ok());
  EXPECT_TRUE(absl::IsDataLoss(DecodeOrderRecord(EncodeInsertion(6), order, key, record)));
  EXPECT_TRUE(absl::IsDataLoss(DecodeOrderRecord(EncodeInsertion(5), good, key, record)));
}

TEST_F(RocksTargetStoreTest, FindsEverythingAgainAfterReopening) {
  {
    const auto store = Open();
    for (size_t i = 0; i < 3; ++i) Put(*store, i);
    ASSERT_TRUE(store->Drop(KeyOf(request_, 2)).ok());
    ASSERT_TRUE(store->PutMeta("name", "value").ok());
  }
  const auto store = Open();
  EXPECT_EQ(store->stats().entries, 2);
  EXPECT_EQ(store->stats().live_bytes, 128);
  EXPECT_EQ(*store->GetMeta("name"), "value");
  ASSERT_THAT(*store->ListSets(), SizeIs(1));
  EXPECT_EQ(store->ListSets()->front().entries, 2);
  EXPECT_GT(store->ListSets()->front().last_used, absl::UnixEpoch());
  Put(*store, 2);  // its insertion number is new
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(store->Get(KeyOf(request_, i))->bytes, FakeTarget(static_cast<int>(i)).bytes);
  }
}

TEST_F(RocksTargetStoreTest, SaysThatItIsOpenAlready) {
  const auto store = Open();
  const auto second = RocksTargetStore::Open(options_);
  EXPECT_TRUE(absl::IsFailedPrecondition(second.status()));
  EXPECT_THAT(std::string(second.status().message()), HasSubstr("already open in this process"));
}

TEST_F(RocksTargetStoreTest, NamesTheProcessThatHoldsTheLock) {
  const StoreChild child = StoreChild::Start(REFLUX_STORE_CHILD, "hold", options_.directory);
  ASSERT_GT(child.pid, 0);
  char byte = 0;
  ASSERT_EQ(read(child.output, &byte, 1), 1);
  const auto second = RocksTargetStore::Open(options_);
  EXPECT_TRUE(absl::IsFailedPrecondition(second.status()));
  EXPECT_THAT(std::string(second.status().message()),
              HasSubstr(absl::StrCat("locked by process ", child.pid, " (reflux-store-ch")));
  close(child.input);
  close(child.output);
  int status = -1;
  EXPECT_EQ(waitpid(child.pid, &status, 0), child.pid);
  EXPECT_EQ(status, 0);
}

TEST_F(RocksTargetStoreTest, RefusesAnotherFormat) {
  std::filesystem::create_directories(options_.directory);
  std::ofstream(options_.directory + "/FORMAT") << "7\n";
  const absl::Status status = RocksTargetStore::Open(options_).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("cache format '7'"));
}

TEST_F(RocksTargetStoreTest, RaisesAFolderOfTheFormatBefore) {
  { Put(*Open(), 0); }
  std::ofstream(options_.directory + "/FORMAT") << "1\n";
  EXPECT_TRUE(Open()->Contains(KeyOf(request_, 0)));
  std::string version;
  std::ifstream(options_.directory + "/FORMAT") >> version;
  EXPECT_EQ(version, "3");
}

TEST_F(RocksTargetStoreTest, RefusesAFolderThatCannotBeWritten) {
  const absl::Status status = RocksTargetStore::Open({.directory = "/proc/reflux"}).status();
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()), HasSubstr("/proc/reflux"));
  EXPECT_TRUE(absl::IsInvalidArgument(RocksTargetStore::Open({}).status()));
}

TEST_F(RocksTargetStoreTest, KeepsTheFreeDiskFloor) {
  RocksTargetStoreOptions options = options_;
  options.min_free_disk_bytes = std::numeric_limits<int64_t>::max();
  const auto store = RocksTargetStore::Open(options);
  ASSERT_TRUE(store.ok());
  EXPECT_TRUE(absl::IsResourceExhausted(
      (*store)->Put(KeyOf(request_, 0), SetOf(request_), OriginOf(request_, 0), FakeTarget(1))));
  EXPECT_FALSE((*store)->stats().storing);
  EXPECT_EQ((*store)->stats().refused, 1);
}

TEST_F(RocksTargetStoreTest, VerifyFindsAndDropsWhatIsCorrupted) {
  {
    const auto store = Open();
    for (size_t i = 0; i < 3; ++i) Put(*store, i);
  }
  ASSERT_TRUE(
      RewriteStoredValue(
          options_.directory, 1, [](std::string& value) { value[0] ^= 1; }, IndexChecksum::kKept)
          .ok());
  const auto store = Open();
  EXPECT_TRUE(absl::IsDataLoss(store->Get(KeyOf(request_, 1)).status()));
  const auto report = VerifyStore(*store, {});
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->entries, 3);
  EXPECT_EQ(report->corrupted, 1);
  EXPECT_TRUE(absl::IsNotFound(store->Get(KeyOf(request_, 1)).status()));
  EXPECT_EQ(VerifyStore(*store, {})->corrupted, 0);
}

TEST_F(RocksTargetStoreTest, ARewrittenValuePassesForTheRightOne) {
  {
    const auto store = Open();
    Put(*store, 0);
  }
  ASSERT_TRUE(
      RewriteStoredValue(options_.directory, 0, [](std::string& value) { value[0] ^= 1; }).ok());
  EXPECT_TRUE(absl::IsOutOfRange(RewriteStoredValue(options_.directory, 1, [](std::string&) {})));
  const auto read = Open()->Get(KeyOf(request_, 0));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_NE(read->bytes, FakeTarget(0).bytes);
}

TEST_F(RocksTargetStoreTest, TakesOverAFolderOfFormatOne) {
  {
    const auto store = Open();
    for (size_t i = 0; i < 3; ++i) Put(*store, i);
  }
  {  // format 1 had no `order`
    const auto handles = OpenRocks(options_.directory);
    ASSERT_TRUE(handles.ok());
    ASSERT_TRUE((*handles)->db->DropColumnFamily((*handles)->order).ok());
  }
  std::ofstream(options_.directory + "/FORMAT") << "1\n";
  const auto store = Open();
  EXPECT_EQ(*ReadFile(options_.directory + "/FORMAT", 10), "3\n");
  EXPECT_EQ(store->stats().entries, 3);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(store->Get(KeyOf(request_, i))->bytes, FakeTarget(static_cast<int>(i)).bytes);
  }
  clock_.Advance(kLeaseTerm);
  EXPECT_EQ(*store->Evict(1), 64);
  EXPECT_FALSE(store->Contains(KeyOf(request_, 0))) << "the oldest";
}

TEST_F(RocksTargetStoreTest, PinsAndLeasesSurviveARestart) {
  const TargetSetId id = MakeTargetSetId(SetOf(request_));
  {
    const auto store = Open();
    Put(*store, 0);
    ASSERT_TRUE(store->Pin(id, absl::Hours(24)).ok());
  }
  clock_.Advance(absl::Hours(23));
  EXPECT_EQ(Open()->ListSets()->front().pinned_until, clock_.Now() + absl::Hours(1));
  clock_.Jump(-absl::Hours(500));
  EXPECT_EQ(Open()->ListSets()->front().pinned_until, clock_.Now() + absl::Hours(24))
      << "never longer than it was asked for";
  clock_.Jump(absl::Hours(500));
  {
    const auto store = Open();
    ASSERT_TRUE(store->Pin(id, absl::ZeroDuration()).ok());
    EXPECT_FALSE(store->ListSets()->front().leased);
    ASSERT_TRUE(store->Get(KeyOf(request_, 0)).ok());
  }
  clock_.Advance(kLeaseTerm - absl::Seconds(1));
  EXPECT_TRUE(Open()->ListSets()->front().leased) << "its job may be on its way back";
  clock_.Advance(absl::Seconds(1));
  EXPECT_FALSE(Open()->ListSets()->front().leased);
}

// Sets of 200 targets of 20 kB displace each other, in tables of 256 kB.
class FullStoreTest : public RocksTargetStoreTest {
 protected:
  FullStoreTest() {
    options_.capacity_bytes = 10 << 20;
    options_.table_bytes = 256 << 10;
  }
  static TargetSet Set(int set) {
    return {.dataset = absl::StrCat("set", set), .teacher = FakeIdentity(), .spec = {.tap = "x"}};
  }
  static TargetKey Key(int set, int number) { return {Sha256::Of(absl::StrCat(set, " ", number))}; }
  static EncodedTarget Target(int set, int number) { return FakeTarget(set * 1000 + number, 5000); }
  static absl::Status PutOne(TargetStore& store, int set, int number) {
    return store.Put(Key(set, number), Set(set), OriginOf(FakeRequest(1), 0), Target(set, number));
  }
};

TEST_F(FullStoreTest, SpaceIsGivenBackAtOnce) {
  const auto store = Open();
  int64_t most = 0;
  for (int set = 0; set < 12; ++set) {
    for (int i = 0; i < 200; ++i) {
      ASSERT_TRUE(PutOne(*store, set, i).ok()) << set << " " << i;
      most = std::max(most, store->stats().disk_bytes);
    }
    clock_.Advance(kLeaseTerm);
  }
  EXPECT_LE(store->stats().live_bytes, options_.capacity_bytes);
  EXPECT_GT(store->stats().evicted, 1600);
  // Tables, the log of at most four more, and what of the oldest table is dead already.
  EXPECT_LT(most, options_.capacity_bytes + 12 * options_.table_bytes);
  for (int i = 0; i < 200; ++i) {
    EXPECT_EQ(store->Get(Key(11, i))->bytes, Target(11, i).bytes);
    EXPECT_FALSE(store->Contains(Key(0, i)));
  }
}

TEST_F(FullStoreTest, LeasedEntriesOfAnEvictedRangeAreWrittenAgain) {
  {
    const auto store = Open();
    for (int i = 0; i < 300; ++i) {
      ASSERT_TRUE(PutOne(*store, i % 6 == 0 ? 0 : 1, i).ok());
    }
    ASSERT_TRUE(store->Pin(MakeTargetSetId(Set(0)), absl::Hours(1000)).ok());
    for (int set = 2; set < 8; ++set) {
      clock_.Advance(kLeaseTerm);
      for (int i = 0; i < 200; ++i) ASSERT_TRUE(PutOne(*store, set, i).ok()) << set << " " << i;
    }
    EXPECT_LT(store->stats().disk_bytes, options_.capacity_bytes + 12 * options_.table_bytes)
        << "the tables that held both sets are gone";
  }
  const auto store = Open();
  for (int i = 0; i < 300; ++i) {
    const auto target = store->Get(Key(i % 6 == 0 ? 0 : 1, i));
    if (i % 6 == 0) {
      ASSERT_TRUE(target.ok()) << i << ": " << target.status();
      EXPECT_EQ(target->bytes, Target(0, i).bytes);
    } else {
      EXPECT_TRUE(absl::IsNotFound(target.status()));
    }
  }
}

TEST_F(FullStoreTest, RemovingASetGivesItsSpaceBack) {
  const auto store = Open();
  for (int i = 0; i < 400; ++i) ASSERT_TRUE(PutOne(*store, i < 200 ? 0 : 1, i).ok());
  const int64_t before = store->stats().disk_bytes;
  EXPECT_EQ(*store->RemoveSet(MakeTargetSetId(Set(0))), 200 * 20000);
  ASSERT_TRUE(store->Reclaim({}).ok());
  EXPECT_LT(store->stats().disk_bytes, before - 3500000);
  for (int i = 200; i < 400; ++i) EXPECT_TRUE(store->Get(Key(1, i)).ok());
  EXPECT_EQ(VerifyStore(*store, {})->corrupted, 0);
}

TEST_F(FullStoreTest, ReadersSeeEveryEntryWhileItIsMoved) {
  const auto store = Open();
  for (int i = 0; i < 400; ++i) ASSERT_TRUE(PutOne(*store, i % 4 == 0 ? 0 : 1, i).ok());
  std::atomic<bool> done{false};
  std::thread reader([&] {
    while (!done) {
      for (int i = 0; i < 400; i += 4) {
        const auto target = store->Get(Key(0, i));
        ASSERT_TRUE(target.ok()) << i << ": " << target.status();
        ASSERT_EQ(target->bytes, Target(0, i).bytes);
      }
    }
  });
  EXPECT_EQ(*store->RemoveSet(MakeTargetSetId(Set(1))), 300 * 20000);
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(store->Reclaim({}).ok());
  done = true;
  reader.join();
  EXPECT_EQ(store->stats().entries, 100);
}

}  // namespace
}  // namespace reflux
