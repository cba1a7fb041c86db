// A student on the cache server's host reads the server's folder: the same bits, whatever happens
// to folder and server meanwhile.
#include "cache/direct_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "cache/cache_server.h"
#include "cache/rocks_reader.h"
#include "common/rpc/server.h"
#include "common/targets/remote_source.h"
#include "common/targets/target_service.h"
#include "tests/contract/cache_fixtures.h"
#include "tests/contract/store_child.h"

namespace reflux {
namespace {

class DirectSourceTest : public testing::Test {
 protected:
  void SetUp() override {
    service_ = MakeTargetService(teacher_, {}, {});
    teacher_server_ = *RpcServer::Start({}, {service_.get()});
    StartCache();
  }
  void StartCache() {
    auto server = CacheServer::Start({.store = {.directory = directory_, .min_free_disk_bytes = 0},
                                      .teacher = teacher_server_->address(),
                                      .endpoint_file = folder_.path() + "/endpoint"},
                                     nullptr);
    ASSERT_TRUE(server.ok()) << server.status();
    cache_ = *std::move(server);
  }
  DirectSourceOptions Options() const {
    return {.endpoint = "@" + folder_.path() + "/endpoint",
            .reopen_after = absl::ZeroDuration(),
            .min_catch_up = absl::ZeroDuration(),
            .max_catch_up = absl::ZeroDuration(),  // follow the server at every fetch
            .renew_every = absl::Hours(1)};
  }
  std::unique_ptr<DirectSource> Direct(const DirectSourceOptions& options) {
    return MakeDirectSource(MakeRemoteSource({.endpoint = options.endpoint}), options);
  }
  static FetchContext Soon() { return {.deadline = absl::Now() + absl::Seconds(60)}; }

  // Fetches, and compares every bit with what the teacher says.
  void FetchAndCompare(TargetSource& source, const TargetRequest& request) {
    CollectingSink sink;
    ASSERT_TRUE(source.Fetch(Soon(), request, sink).ok());
    ASSERT_EQ(sink.size(), request.samples.size() * request.specs.size());
    for (size_t i = 0; i < request.samples.size(); ++i) {
      for (size_t j = 0; j < request.specs.size(); ++j) {
        ASSERT_TRUE(sink.at(i, j).ok()) << sink.at(i, j).status();
        ASSERT_EQ(sink.at(i, j)->bytes, teacher_.Expected(request, i, j).bytes);
      }
    }
  }

  TemporaryFolder folder_;
  const std::string directory_ = folder_.path() + "/cache";
  FakeTeacher teacher_{/*elements=*/5000};
  std::unique_ptr<v1::TargetService::Service> service_;
  std::unique_ptr<RpcServer> teacher_server_;
  std::unique_ptr<CacheServer> cache_;
};

TEST_F(DirectSourceTest, ReadsWhatIsStoredAndFetchesTheRest) {
  const auto direct = Direct(Options());
  const TargetRequest request = FakeRequest(6, 2);
  FetchAndCompare(*MakeRemoteSource({.endpoint = cache_->address()}), FakeRequest(3, 2));
  FetchAndCompare(*direct, request);
  EXPECT_EQ(direct->counts().hits, 6);
  EXPECT_EQ(direct->counts().misses, 6);
  FetchAndCompare(*direct, request);
  EXPECT_EQ(direct->counts().hits, 18);
  EXPECT_EQ(direct->counts().errors, 0);
  EXPECT_EQ(teacher_.targets(), 12);
}

TEST_F(DirectSourceTest, GoesOnWithoutTheServer) {
  const auto direct = Direct(Options());
  FetchAndCompare(*direct, FakeRequest(4));
  FetchAndCompare(*direct, FakeRequest(4));  // the folder is open and has them
  cache_->Shutdown(absl::ZeroDuration());
  FetchAndCompare(*direct, FakeRequest(4));
  cache_.reset();
  FetchAndCompare(*direct, FakeRequest(4));
  EXPECT_EQ(direct->counts().misses, 4);
  StartCache();
  FetchAndCompare(*direct, FakeRequest(4, 1, 2));  // half of them new
  EXPECT_EQ(direct->counts().misses, 6);
  FetchAndCompare(*direct, FakeRequest(4, 1, 2));
  EXPECT_EQ(direct->counts().misses, 6);
}

TEST_F(DirectSourceTest, AServerOfAnotherHostOrATeacherIsJustAsked) {
  DirectSourceOptions options = Options();
  options.endpoint = teacher_server_->address();
  const auto direct = Direct(options);
  FetchAndCompare(*direct, FakeRequest(2));
  FetchAndCompare(*direct, FakeRequest(2));
  EXPECT_EQ(direct->counts().hits, 0);
  EXPECT_EQ(direct->counts().misses, 4);
}

TEST_F(DirectSourceTest, WhatIsDroppedIsFetchedAgain) {
  const auto direct = Direct(Options());
  const TargetRequest request = FakeRequest(4);
  FetchAndCompare(*direct, request);
  FetchAndCompare(*direct, request);
  cache_.reset();
  {
    auto store = RocksTargetStore::Open({.directory = directory_, .min_free_disk_bytes = 0});
    ASSERT_TRUE(store.ok()) << store.status();
    ASSERT_TRUE((*store)->Drop(KeyOf(request, 1)).ok());
  }
  StartCache();
  FetchAndCompare(*direct, request);
  // A reader that was there before may still have it (rocks_reader.h); a new one has not.
  FetchAndCompare(*Direct(Options()), request);
  EXPECT_EQ(teacher_.targets(), 5);
}

TEST_F(DirectSourceTest, WhatIsEvictedIsFetchedAgain) {
  const auto direct = Direct(Options());
  const TargetRequest request = FakeRequest(30);
  FetchAndCompare(*direct, request);
  FetchAndCompare(*direct, request);
  cache_.reset();
  {
    auto store = RocksTargetStore::Open({.directory = directory_, .min_free_disk_bytes = 0});
    ASSERT_TRUE(store.ok()) << store.status();
    ASSERT_TRUE((*store)->RemoveSet(MakeTargetSetId(SetOf(request))).ok());
    ASSERT_TRUE((*store)->Reclaim({}).ok());
  }
  StartCache();
  FetchAndCompare(*direct, request);
  FetchAndCompare(*Direct(Options()), request);
  EXPECT_EQ(teacher_.targets(), 60) << "each was computed again, once";
}

TEST_F(DirectSourceTest, AFolderThatVanishesIsAMiss) {
  const auto direct = Direct(Options());
  FetchAndCompare(*direct, FakeRequest(4));
  FetchAndCompare(*direct, FakeRequest(4));
  cache_.reset();
  std::filesystem::remove_all(directory_);
  StartCache();  // an empty one in its place
  for (int i = 0; i < 3; ++i) FetchAndCompare(*direct, FakeRequest(6));
}

TEST_F(DirectSourceTest, TellsTheServerWhatIsInUse) {
  FetchAndCompare(*MakeRemoteSource({.endpoint = cache_->address()}), FakeRequest(2));
  DirectSourceOptions options = Options();
  options.renew_every = absl::Milliseconds(1);
  std::atomic<int> asked{0};
  struct Counting : TargetSource {
    absl::Status Fetch(const FetchContext& context, const TargetRequest& request,
                       TargetSink& sink) override {
      EXPECT_EQ(request.samples.size(), 1u);
      ++asked;
      asked.notify_all();
      return server->Fetch(context, request, sink);
    }
    absl::StatusOr<TeacherInfo> GetTeacherInfo(const FetchContext& context) override {
      return server->GetTeacherInfo(context);
    }
    explicit Counting(std::atomic<int>& asked) : asked(asked) {}
    std::atomic<int>& asked;
    std::unique_ptr<TargetSource> server;
  };
  auto server = std::make_unique<Counting>(asked);
  server->server = MakeRemoteSource({.endpoint = options.endpoint});
  const auto direct = MakeDirectSource(std::move(server), options);
  FetchAndCompare(*direct, FakeRequest(2));
  EXPECT_EQ(direct->counts().misses, 0);
  asked.wait(0);
  EXPECT_GE(asked, 1);
}

TEST_F(DirectSourceTest, ReadersAndAFillOfTheSameTargetsAgree) {
  std::atomic<bool> done{false};
  std::thread filler([&] {
    const auto student = MakeRemoteSource({.endpoint = cache_->address()});
    for (int first = 0; first < 400; first += 8)
      FetchAndCompare(*student, FakeRequest(8, 1, first));
    done = true;
  });
  const auto direct = Direct(Options());
  std::thread other([&] {
    for (int i = 0; !done; ++i) FetchAndCompare(*direct, FakeRequest(16, 1, (i * 13) % 384));
  });
  for (int i = 0; !done; ++i) FetchAndCompare(*direct, FakeRequest(16, 1, (i * 7) % 384));
  filler.join();
  other.join();
  const int64_t misses = direct->counts().misses;
  for (int first = 0; first < 400; first += 8) FetchAndCompare(*direct, FakeRequest(8, 1, first));
  EXPECT_EQ(direct->counts().misses, misses) << "everything is in the folder now";
  EXPECT_EQ(teacher_.targets(), 400) << "each target was computed once";
}

// The owner is killed while it writes, again and again; a reader beside it never sees a wrong bit,
// and finds everything that was acknowledged.
TEST(RocksReaderTest, SurvivesTheSuddenDeathOfTheOwner) {
  const TemporaryFolder folder;
  const std::string directory = folder.path() + "/cache";
  std::unique_ptr<RocksReader> reader;
  for (int round = 0; round < 8; ++round) {
    const StoreChild child = StoreChild::Start(REFLUX_STORE_CHILD, "put", directory);
    ASSERT_GT(child.pid, 0);
    const int32_t enough = 40 * (round + 1);
    int32_t stored = -1;
    while (stored < enough && read(child.output, &stored, sizeof(stored)) == sizeof(stored)) {
      if (stored % 16 != 0) continue;
      if (reader == nullptr) {
        auto opened = RocksReader::Open(directory);
        ASSERT_TRUE(opened.ok()) << opened.status();
        reader = *std::move(opened);
      }
      ASSERT_TRUE(reader->CatchUp().ok());
      const auto target = reader->Get(KeyOf(FakeRequest(1, 1, stored), 0));
      ASSERT_TRUE(target.ok()) << round << ": " << stored << ": " << target.status();
      ASSERT_EQ(target->bytes, FakeTarget(stored, kStoreChildElements).bytes);
    }
    kill(child.pid, SIGKILL);
    int status = 0;
    waitpid(child.pid, &status, 0);
    close(child.input);
    close(child.output);
    ASSERT_GE(stored, enough);
    ASSERT_TRUE(reader->CatchUp().ok());
    for (int32_t i = 0; i <= enough; ++i) {
      const auto target = reader->Get(KeyOf(FakeRequest(1, 1, i), 0));
      ASSERT_TRUE(target.ok()) << round << ": " << i << ": " << target.status();
      ASSERT_EQ(target->bytes, FakeTarget(i, kStoreChildElements).bytes);
    }
  }
}

}  // namespace
}  // namespace reflux
