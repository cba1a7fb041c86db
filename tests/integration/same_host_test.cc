// A student on the host of its cache server reads stored targets from the files that the server
// names, and whatever happens to these files, gets the right bits.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "absl/time/clock.h"
#include "cache/cache_server.h"
#include "common/rpc/server.h"
#include "common/targets/remote_source.h"
#include "common/targets/target_service.h"
#include "tests/contract/cache_fixtures.h"

namespace reflux {
namespace {

namespace fs = std::filesystem;

class Tally : public Counter::Sink {
 public:
  void Increment(double by) override { sum_ += static_cast<int>(by); }
  int sum() const { return sum_; }

 private:
  std::atomic<int> sum_{0};
};

constexpr int kMany = 60;  // targets, of 20 kB: more than two tables of 256 kB hold

class SameHostTest : public testing::Test {
 protected:
  void SetUp() override {
    service_ = MakeTargetService(teacher_, {}, {});
    teacher_server_ = *RpcServer::Start({}, {service_.get()});
    StartCache();
    Compare(*Student({}), FakeRequest(kMany));  // all is stored, most of it in tables
  }
  void StartCache() {
    auto server = CacheServer::Start(
        {.store = {.directory = directory_, .min_free_disk_bytes = 0, .table_bytes = 256 << 10},
         .teacher = teacher_server_->address(),
         .endpoint_file = folder_.path() + "/endpoint"},
        nullptr);
    ASSERT_TRUE(server.ok()) << server.status();
    cache_ = *std::move(server);
  }
  std::unique_ptr<TargetSource> Student(RemoteSourceOptions options) {
    if (options.endpoint.empty()) options.endpoint = "@" + folder_.path() + "/endpoint";
    RemoteSourceMetrics metrics;
    metrics.targets = Counter(&received_);
    metrics.file_reads = Counter(&read_);
    metrics.file_errors = Counter(&failed_);
    return MakeRemoteSource(options, metrics);
  }
  std::unique_ptr<TargetSource> Reader() { return Student({.reads_files = true}); }

  // Fetches, and compares every bit with what the teacher says.
  void Compare(TargetSource& source, const TargetRequest& request) {
    CollectingSink sink;
    ASSERT_TRUE(source.Fetch({.deadline = absl::Now() + absl::Seconds(60)}, request, sink).ok());
    ASSERT_EQ(sink.size(), request.samples.size());
    for (size_t i = 0; i < request.samples.size(); ++i) {
      ASSERT_TRUE(sink.at(i).ok()) << sink.at(i).status();
      ASSERT_EQ(sink.at(i)->bytes, teacher_.Expected(request, i).bytes);
    }
  }
  std::vector<std::string> Tables() const {
    std::vector<std::string> tables;
    for (const auto& entry : fs::directory_iterator(directory_ + "/db")) {
      if (entry.path().extension() == ".sst") tables.push_back(entry.path());
    }
    return tables;
  }

  TemporaryFolder folder_;
  const std::string directory_ = folder_.path() + "/cache";
  FakeTeacher teacher_{/*elements=*/5000};
  std::unique_ptr<v1::TargetService::Service> service_;
  std::unique_ptr<RpcServer> teacher_server_;
  std::unique_ptr<CacheServer> cache_;
  Tally received_, read_, failed_;
};

TEST_F(SameHostTest, ReadsFromFilesWhatLiesThereAndIsSentTheRest) {
  const auto reader = Reader();
  Compare(*reader, FakeRequest(kMany));
  EXPECT_GE(read_.sum(), kMany / 3);
  EXPECT_EQ(received_.sum(), 2 * kMany);
  Compare(*reader, FakeRequest(4, 1, kMany));  // new ones
  EXPECT_EQ(failed_.sum(), 0);
  EXPECT_EQ(teacher_.targets(), kMany + 4);
  EXPECT_EQ(cache_->counts().hits, kMany) << "the server counts those that it only named";
}

TEST_F(SameHostTest, OnlyWhenAskedToAndOnTheSameHost) {
  Compare(*Student({}), FakeRequest(kMany));
  Compare(*Student({.reads_files = true, .host = "another"}), FakeRequest(kMany));
  Compare(*Student({.reads_files = true, .host = ""}), FakeRequest(kMany));
  Compare(*Student({.endpoint = teacher_server_->address(), .reads_files = true}),
          FakeRequest(kMany));
  EXPECT_EQ(read_.sum() + failed_.sum(), 0);
}

TEST_F(SameHostTest, ReadsStraightIntoThePlace) {
  struct Placing : CollectingSink {
    char* Place(size_t sample, size_t, const EncodedTarget&, size_t size) override {
      rows[sample].resize(size);
      return rows[sample].data();
    }
    void Deliver(size_t sample, size_t spec, absl::StatusOr<EncodedTarget> target) override {
      ASSERT_TRUE(target.ok());
      EXPECT_EQ(target->bytes.data(), rows[sample].data());
      CollectingSink::Deliver(sample, spec, std::move(target));
    }
    std::map<size_t, std::string> rows;
  } sink;
  const TargetRequest request = FakeRequest(10);
  ASSERT_TRUE(Reader()->Fetch({.deadline = absl::Now() + absl::Seconds(60)}, request, sink).ok());
  for (size_t i = 0; i < 10; ++i) EXPECT_EQ(sink.rows[i], teacher_.Expected(request, i).bytes);
  EXPECT_GT(read_.sum(), 0);
}

TEST_F(SameHostTest, WhatIsDamagedIsComputedAgainOnce) {
  for (const std::string& table : Tables()) {
    if (fs::file_size(table) < 100'000) continue;  // of the index
    std::fstream file(table, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(10000);
    file.put('?');
  }
  const auto reader = Reader();
  Compare(*reader, FakeRequest(kMany));
  const auto damaged = failed_.sum();
  EXPECT_GT(damaged, 0);
  EXPECT_EQ(cache_->counts().corrupted, damaged) << "the server has looked for itself";
  EXPECT_EQ(teacher_.targets(), kMany + damaged);
  Compare(*reader, FakeRequest(kMany));
  EXPECT_EQ(failed_.sum(), damaged);
}

TEST_F(SameHostTest, FilesThatCannotBeOpenedAreGivenUpForATime) {
  const auto reader = Student({.reads_files = true, .files_again_after = absl::Hours(1)});
  cache_.reset();
  StartCache();
  Compare(*Student({}), FakeRequest(kMany));  // the server has all its tables open, and writes none
  fs::rename(directory_, directory_ + "-elsewhere");
  Compare(*reader, FakeRequest(kMany));
  const int failed = failed_.sum();
  EXPECT_GT(failed, 0);
  EXPECT_EQ(read_.sum(), 0);
  Compare(*reader, FakeRequest(kMany));
  EXPECT_EQ(failed_.sum(), failed) << "not asked for again";
  fs::rename(directory_ + "-elsewhere", directory_);
  Compare(*reader, FakeRequest(kMany));
  EXPECT_EQ(read_.sum(), 0);
  const auto sooner = Student({.reads_files = true, .files_again_after = absl::ZeroDuration()});
  Compare(*sooner, FakeRequest(kMany));
  EXPECT_GT(read_.sum(), 0);
}

TEST_F(SameHostTest, ARemovedSetAndAFreshFolderAreComputedAgain) {
  const auto reader = Reader();
  Compare(*reader, FakeRequest(kMany));
  cache_.reset();
  fs::remove_all(directory_);
  StartCache();  // whose files may have the names of those before
  Compare(*reader, FakeRequest(kMany));
  EXPECT_EQ(teacher_.targets(), 2 * kMany);
  Compare(*reader, FakeRequest(kMany));
  EXPECT_EQ(teacher_.targets(), 2 * kMany);
}

TEST_F(SameHostTest, ReadersAndAFillOfTheSameTargetsAgree) {
  std::atomic<bool> done{false};
  std::thread filler([&] {
    const auto student = Student({});
    for (int first = 0; first < 400; first += 8) Compare(*student, FakeRequest(8, 1, first));
    done = true;
  });
  const auto reader = Reader();
  std::thread other([&] {
    for (int i = 0; !done; ++i) Compare(*reader, FakeRequest(16, 1, (i * 13) % 384));
  });
  for (int i = 0; !done; ++i) Compare(*reader, FakeRequest(16, 1, (i * 7) % 384));
  filler.join();
  other.join();
  EXPECT_GT(read_.sum(), 0);
  EXPECT_EQ(failed_.sum(), 0);
  EXPECT_EQ(teacher_.targets(), 400) << "each target was computed once";
}

}  // namespace
}  // namespace reflux
