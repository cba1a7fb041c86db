// Faults of the disk under a cache: every target is served right all the same, recomputed where it
// must be, and what happened is counted.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rocksdb/metadata.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "cache/caching_source.h"
#include "cache/rocks_target_store.h"
#include "cache/value_tables.h"
#include "tests/contract/cache_fixtures.h"
#include "tests/support/fake_clock.h"

namespace reflux {
namespace {

constexpr int kSamples = 40;
constexpr int32_t kElements = 5000;  // 20 kB

class StoreFaultsTest : public testing::Test {
 protected:
  // Asks for samples `first` to `first + count - 1`; each must come, and be right. What the source
  // counted.
  CacheCounts Serve(TargetStore& store, int count = kSamples, int first = 0) {
    const auto source = MakeCachingSource(store, teacher_);
    for (int i = first; i < first + count; ++i) {
      const TargetRequest request = FakeRequest(1, 1, i);
      CollectingSink sink;
      EXPECT_TRUE(source->Fetch({}, request, sink).ok());
      EXPECT_TRUE(sink.at(0).ok()) << i << ": " << sink.at(0).status();
      if (!sink.at(0).ok()) continue;
      EXPECT_EQ(sink.at(0)->bytes, teacher_.Expected(request, 0).bytes) << i;
    }
    return source->counts();
  }
  CacheCounts ServeAnew() { return Serve(*Open()); }

  std::unique_ptr<RocksTargetStore> Open() {
    auto store = RocksTargetStore::Open({.directory = directory_,
                                         .min_free_disk_bytes = 0,
                                         .table_bytes = 256 << 10,
                                         .clock = &clock_});
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  }

  // Everything into tables; those of the named column family.
  std::vector<std::string> Tables(const std::string& family) {
    std::vector<std::string> paths;
    const auto handles = OpenRocks(directory_);
    EXPECT_TRUE(handles.ok()) << handles.status();
    for (rocksdb::ColumnFamilyHandle* handle : (*handles)->families()) {
      EXPECT_TRUE((*handles)->db->Flush({}, handle).ok());
      if (handle->GetName() != family) continue;
      rocksdb::ColumnFamilyMetaData data;
      (*handles)->db->GetColumnFamilyMetaData(handle, &data);
      for (const auto& level : data.levels) {
        for (const auto& file : level.files) paths.push_back(file.db_path + file.name);
      }
    }
    EXPECT_FALSE(paths.empty()) << family;
    return paths;
  }

  static void FlipBit(const std::string& path, int64_t offset) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(offset);
    const char byte = static_cast<char>(file.get() ^ 0x10);
    file.seekp(offset);
    file.put(byte);
    EXPECT_TRUE(file.good()) << path;
  }

  TemporaryFolder folder_;
  std::string directory_ = folder_.path() + "/cache";
  FakeClock clock_;
  FakeTeacher teacher_{kElements};
};

TEST_F(StoreFaultsTest, AFlippedBitCostsTheTargetsOfItsBlock) {
  ServeAnew();
  const std::string table = Tables("values").front();
  FlipBit(table, static_cast<int64_t>(std::filesystem::file_size(table)) / 2);
  const CacheCounts counts = ServeAnew();
  EXPECT_EQ(counts.corrupted, 1);
  EXPECT_EQ(counts.fills, 1);
  EXPECT_EQ(counts.hits, kSamples - 1);
  EXPECT_EQ(ServeAnew().hits, kSamples) << "it was stored again";
}

// Also in the frame of a block, whose checksum RocksDB does not compare for values.
TEST_F(StoreFaultsTest, AFlippedBitAnywhereInATableIsSurvived) {
  constexpr int64_t kBlock = 20034;  // a value with its key and its frame
  ServeAnew();
  std::vector<std::string> tables = Tables("values");
  ASSERT_GE(tables.size(), 2u);
  // The largest: a small one goes once its few entries are dropped.
  std::sort(tables.begin(), tables.end(), [](const std::string& a, const std::string& b) {
    return std::filesystem::file_size(a) > std::filesystem::file_size(b);
  });
  for (int64_t i = 0; i < 20; ++i) {
    const int64_t offset = i / 2 * (kBlock + 3) + (i % 2) * 20000;
    SCOPED_TRACE(offset);
    const auto store = Open();
    FlipBit(tables[static_cast<size_t>(i % 2)], offset);
    Serve(*store);
  }
  EXPECT_EQ(ServeAnew().hits, kSamples);
}

TEST_F(StoreFaultsTest, ATruncatedTableCostsItsTargets) {
  constexpr int kMany = 120;
  Serve(*Open(), kMany);
  const std::vector<std::string> tables = Tables("values");
  ASSERT_GE(tables.size(), 3u);
  const auto size = std::filesystem::file_size(tables[0]);
  const uintmax_t sizes[] = {size / 2, 10, 0};
  for (size_t i = 0; i < 3; ++i) std::filesystem::resize_file(tables[i], sizes[i]);
  const CacheCounts counts = Serve(*Open(), kMany);
  EXPECT_GE(counts.fills, 3);
  EXPECT_GT(counts.hits, 0);
  EXPECT_EQ(counts.hits + counts.fills, kMany);
  EXPECT_EQ(Serve(*Open(), kMany).hits, kMany);
  EXPECT_EQ(Open()->stats().entries, kMany);
  EXPECT_FALSE(std::filesystem::exists(tables[2])) << "it was taken out";
}

TEST_F(StoreFaultsTest, ATableTruncatedUnderAnOpenStoreCostsItsTargets) {
  constexpr int kMany = 400;
  Serve(*Open(), kMany);
  const std::string table = Tables("values").back();
  const auto store = Open();
  std::filesystem::resize_file(table, std::filesystem::file_size(table) / 2);
  const CacheCounts counts = Serve(*store, kMany);
  EXPECT_GT(counts.corrupted, 0);
  EXPECT_EQ(counts.fills, counts.corrupted);
  EXPECT_EQ(counts.hits + counts.fills, kMany);
  EXPECT_EQ(Serve(*store, kMany).hits, kMany);
  EXPECT_TRUE(store->Reclaim({}).ok()) << "a dead table goes, whatever is in it";
  EXPECT_FALSE(std::filesystem::exists(table));
}

TEST_F(StoreFaultsTest, ATableThatCannotBeReadIsReadAgainLater) {
  constexpr int kMany = 400;  // in more tables than RocksDB opens beforehand
  Serve(*Open(), kMany);
  const std::vector<std::string> tables = Tables("values");
  {
    const auto store = Open();
    for (const std::string& table : tables) {
      std::filesystem::rename(table, table + ".aside");
      std::filesystem::create_directory(table);  // reading it is an error of the operating system
    }
    const CacheCounts counts = Serve(*store, kMany);
    EXPECT_GT(counts.read_errors, 0);
    EXPECT_GT(counts.fills, 0);
    EXPECT_EQ(counts.corrupted, 0);
    for (const std::string& table : tables) {
      std::filesystem::remove(table);
      std::filesystem::rename(table + ".aside", table);
    }
    EXPECT_EQ(Serve(*store, kMany).hits, kMany) << "nothing was dropped";
  }
  EXPECT_EQ(Serve(*Open(), kMany).hits, kMany);
}

TEST_F(StoreFaultsTest, IndexAndOrderAreRebuiltFromEachOther) {
  ServeAnew();
  for (const char* family : {"index", "order"}) {
    SCOPED_TRACE(family);
    const std::string table = Tables(family).front();
    FlipBit(table, 100);
    EXPECT_EQ(ServeAnew().hits, kSamples);
    std::filesystem::resize_file(Tables(family).front(), 20);
    EXPECT_EQ(ServeAnew().hits, kSamples);
    EXPECT_EQ(Open()->stats().entries, kSamples);
  }
}

TEST_F(StoreFaultsTest, TargetsAreServedWithoutTheNamesOfTheirSets) {
  ServeAnew();
  FlipBit(Tables("sets").front(), 20);
  EXPECT_EQ(ServeAnew().hits, kSamples);
  const auto store = Open();
  EXPECT_EQ(store->stats().entries, kSamples);
  EXPECT_EQ(Serve(*store, 1, kSamples).fills, 1);
  EXPECT_EQ(store->ListSets()->front().set.dataset, "fake") << "the next target names its set";
}

TEST_F(StoreFaultsTest, AFlippedBitInTheLogCostsAtMostWhatItHolds) {
  ServeAnew();
  for (const auto& file : std::filesystem::directory_iterator(directory_ + "/db")) {
    if (file.path().extension() == ".log" && file.file_size() > 0) {
      FlipBit(file.path(), static_cast<int64_t>(file.file_size()) / 2);
    }
  }
  const CacheCounts counts = ServeAnew();
  EXPECT_EQ(counts.hits + counts.fills, kSamples);
  EXPECT_EQ(ServeAnew().hits, kSamples);
}

// A file system in memory, for the life of this.
struct SmallDisk {
  SmallDisk(std::string at, const char* options)
      : path(std::move(at)), mounted(mount("none", path.c_str(), "tmpfs", 0, options) == 0) {}
  ~SmallDisk() {
    if (mounted) umount2(path.c_str(), MNT_DETACH);
  }
  const std::string path;
  const bool mounted;
};

TEST_F(StoreFaultsTest, AFullDiskStopsStoringAndIsUsedAgain) {
  const SmallDisk disk(folder_.path(), "size=24m");
  if (!disk.mounted) GTEST_SKIP() << "only root can mount a small file system";
  {
    const auto store = Open();
    const std::string filler = folder_.path() + "/filler";
    std::ofstream(filler).write(std::string(12 << 20, 'x').data(), 12 << 20);
    const CacheCounts full = Serve(*store, 600);
    EXPECT_GT(full.passed_through, 0);
    EXPECT_GT(store->stats().entries, 0);
    EXPECT_FALSE(store->stats().storing);
    EXPECT_GT(Serve(*store, 600).hits, 0) << "what is stored is served";
    std::filesystem::remove(filler);
    // RocksDB looks every five seconds, of the real time, whether there is room again.
    const absl::Time deadline = absl::Now() + absl::Seconds(60);
    do {
      clock_.Advance(absl::Seconds(11));
    } while (Serve(*store, 50, 1000).passed_through > 0 && absl::Now() < deadline);
    EXPECT_EQ(Serve(*store, 50, 2000).passed_through, 0) << "room that comes back is used";
    EXPECT_TRUE(store->stats().storing);
    EXPECT_EQ(Serve(*store, 50, 1000).hits, 50);
  }
  EXPECT_EQ(Serve(*Open(), 50, 1000).hits, 50);
}

// A file may not grow beyond a limit: every write behind it fails, as on a broken disk.
TEST_F(StoreFaultsTest, AfterAFailedWriteTargetsPassThrough) {
  const auto store = Open();
  Serve(*store, 5);
  rlimit limit{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &limit), 0);
  const rlimit small{.rlim_cur = 200 << 10, .rlim_max = limit.rlim_max};
  const auto handler = signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const CacheCounts failing = Serve(*store, 30, 100);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
  signal(SIGXFSZ, handler);
  EXPECT_GT(failing.passed_through, 0);
  EXPECT_EQ(Serve(*store, 5).hits, 5);
}

}  // namespace
}  // namespace reflux
