// Answers that break off: every target is right or an error that is worth a retry, and nothing else
// is stored.
#include <gtest/gtest.h>

#include "absl/time/clock.h"
#include "cache/cache_server.h"
#include "cache/memory_target_store.h"
#include "common/rpc/server.h"
#include "common/targets/missing_targets.h"
#include "common/targets/remote_source.h"
#include "common/targets/target_service.h"
#include "tests/contract/cache_fixtures.h"
#include "tests/support/cut_relay.h"

namespace reflux {
namespace {

constexpr int64_t kWhole = int64_t{1} << 40;

FetchContext Soon() { return {.deadline = absl::Now() + absl::Seconds(60)}; }

class CutStreamsTest : public testing::Test {
 protected:
  // A cache server that holds the targets of `request_`, which its teacher makes of `elements`.
  void Start(int32_t elements, int chunk_bytes) {
    teacher_ = std::make_unique<FakeTeacher>(elements);
    teacher_service_ = MakeTargetService(*teacher_, {.chunk_bytes = chunk_bytes}, {});
    teacher_server_ = *RpcServer::Start({}, {teacher_service_.get()});
    auto cache = CacheServer::Start(
        {.store = {.directory = folder_.path() + "/cache", .min_free_disk_bytes = 0},
         .service = {.chunk_bytes = chunk_bytes},
         .teacher = teacher_server_->address()},
        nullptr);
    ASSERT_TRUE(cache.ok()) << cache.status();
    cache_ = *std::move(cache);
    ASSERT_EQ(Right(*Student(cache_->address())), all_);
  }
  static std::unique_ptr<TargetSource> Student(const std::string& address) {
    return MakeRemoteSource({.endpoint = address, .single_try = true});
  }
  // Fetches, and counts the targets that came; the others must be errors worth a retry.
  int Right(TargetSource& source) {
    CollectingSink sink;
    const absl::Status status = source.Fetch(Soon(), request_, sink);
    EXPECT_EQ(sink.size(), status.ok() ? all_ : 0);
    EXPECT_TRUE(status.ok() || IsRetryable(status)) << status;
    int right = 0;
    for (size_t i = 0; status.ok() && i < request_.samples.size(); ++i) {
      for (size_t j = 0; j < request_.specs.size(); ++j) right += IsRight(sink.at(i, j), i, j);
    }
    return right;
  }
  bool IsRight(const absl::StatusOr<EncodedTarget>& target, size_t i, size_t j) {
    EXPECT_TRUE(target.ok() || IsRetryable(target.status())) << target.status();
    if (!target.ok()) return false;
    EXPECT_EQ(target->bytes, teacher_->Expected(request_, i, j).bytes);
    return true;
  }
  // The length of a server's whole answer, with what the connection itself says.
  int64_t Length(const std::string& address) {
    CutRelay relay(address, kWhole);
    EXPECT_EQ(Right(*Student(relay.address())), all_);
    return relay.passed();
  }
  // Cuts the cache's answer after each of so many bytes, both ways; how many brought some targets.
  // (Of a small answer perhaps none: gRPC may drop what came just before the end.)
  int CutAnswers(int64_t step) {
    const int64_t length = Length(cache_->address());
    int broken = 0, partial = 0;
    for (int64_t bytes = 0; bytes < length; bytes += step) {
      const auto end = bytes / step % 2 == 0 ? CutRelay::End::kClose : CutRelay::End::kReset;
      CutRelay relay(cache_->address(), bytes, end);
      const int right = Right(*Student(relay.address()));
      broken += right < all_;
      partial += 0 < right && right < all_;
    }
    EXPECT_GT(broken, length / step / 2);
    return partial;
  }

  TemporaryFolder folder_;
  const TargetRequest request_ = FakeRequest(3, 2);
  const int all_ = 6;
  std::unique_ptr<FakeTeacher> teacher_;  // before the servers: it must outlive their calls
  std::unique_ptr<v1::TargetService::Service> teacher_service_;
  std::unique_ptr<RpcServer> teacher_server_;
  std::unique_ptr<CacheServer> cache_;
};

// The connection's beginning, lengths of messages, headers, chunks, the call's end: all of it.
TEST_F(CutStreamsTest, AfterEveryByteOfAnAnswerOfSmallTargets) {
  Start(/*elements=*/16, /*chunk_bytes=*/24);
  CutAnswers(1);
}

// Several frames of HTTP/2 to a message.
TEST_F(CutStreamsTest, WithinLargeTargets) {
  Start(/*elements=*/50'000, /*chunk_bytes=*/100'000);
  EXPECT_GT(CutAnswers(9973), 0);
}

TEST_F(CutStreamsTest, ARetryBringsTheRest) {
  Start(/*elements=*/16, /*chunk_bytes=*/24);
  const int64_t length = Length(cache_->address());
  for (int64_t bytes = 0; bytes < length; bytes += length / 8) {
    CutRelay relay(cache_->address(), bytes);
    EXPECT_EQ(Right(*MakeRemoteSource({.endpoint = relay.address()})), all_);
  }
}

TEST_F(CutStreamsTest, OfATeacherStoreNothingWrong) {
  Start(/*elements=*/16, /*chunk_bytes=*/24);
  const int64_t length = Length(teacher_server_->address());
  for (int64_t bytes = 0; bytes < length; bytes += 7) {
    MemoryTargetStore store;
    CutRelay relay(teacher_server_->address(), bytes);
    const auto broken = Student(relay.address()), whole = Student(teacher_server_->address());
    const int right = Right(*MakeCachingSource(store, *broken));
    ASSERT_EQ(store.stats().entries, right);
    EXPECT_EQ(Right(*MakeCachingSource(store, *whole)), all_) << "what was stored is right";
  }
}

}  // namespace
}  // namespace reflux
