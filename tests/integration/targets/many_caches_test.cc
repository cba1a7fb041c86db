// Several cache servers and students over real gRPC, with one teacher behind them.
#include <gtest/gtest.h>

#include <filesystem>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cache/cache_server.h"
#include "common/rpc/server.h"
#include "common/targets/rendezvous_source.h"
#include "common/targets/target_service.h"
#include "tests/contract/cache_fixtures.h"

namespace reflux {
namespace {

class ManyCachesTest : public testing::Test {
 protected:
  ManyCachesTest() {
    auto server = RpcServer::Start({.max_receive_bytes = kTargetServiceMaxReceiveBytes},
                                   {teacher_service_.get()});
    EXPECT_TRUE(server.ok()) << server.status();
    if (server.ok()) teacher_server_ = *std::move(server);
    for (int i = 0; i < 2; ++i) StartCache(i);
  }
  void StartCache(int number) {
    auto server =
        CacheServer::Start({.store = {.directory = absl::StrCat(folder_.path(), "/store", number),
                                      .min_free_disk_bytes = 0},
                            .teacher = teacher_server_->address(),
                            .endpoint_file = EndpointFile(number)},
                           nullptr);
    ASSERT_TRUE(server.ok()) << server.status();
    caches_[number] = *std::move(server);
  }
  std::string EndpointFile(int number) const {
    return absl::StrCat(folder_.path(), "/servers/cache-", number);
  }
  std::unique_ptr<TargetSource> Student() {
    auto student = ConnectServers("@" + folder_.path() + "/servers", {}, nullptr, "worker");
    EXPECT_TRUE(student.ok()) << student.status();
    return *std::move(student);
  }
  void Expect(const TargetRequest& request, const CollectingSink& sink) {
    for (size_t i = 0; i < request.samples.size(); ++i) {
      for (size_t j = 0; j < request.specs.size(); ++j) {
        ASSERT_TRUE(sink.at(i, j).ok()) << sink.at(i, j).status();
        EXPECT_EQ(sink.at(i, j)->bytes, teacher_.Expected(request, i, j).bytes);
      }
    }
  }
  static FetchContext Soon() { return {.deadline = absl::Now() + absl::Seconds(60)}; }

  TemporaryFolder folder_;
  FakeTeacher teacher_;
  std::unique_ptr<v1::TargetService::Service> teacher_service_ =
      MakeTargetService(teacher_, {}, {});
  std::unique_ptr<RpcServer> teacher_server_;
  std::unique_ptr<CacheServer> caches_[2];
};

// Batches overlap between students and each has its own order, as in a sweep over seeds.
TEST_F(ManyCachesTest, ThreeStudentsCostOneInferenceAnImageAndView) {
  constexpr int kSamples = 64, kBatch = 8;
  std::vector<std::thread> students;
  for (int s = 0; s < 3; ++s) {
    students.emplace_back([this, s] {
      const auto student = Student();
      for (int step = 0; step < kSamples / kBatch; ++step) {
        const int first = (step * (2 * s + 1)) % (kSamples / kBatch) * kBatch;
        const TargetRequest request = FakeRequest(kBatch, 2, first);
        CollectingSink sink;
        const absl::Status status = student->Fetch(Soon(), request, sink);
        ASSERT_TRUE(status.ok()) << status;
        Expect(request, sink);
      }
    });
  }
  for (std::thread& student : students) student.join();
  EXPECT_EQ(teacher_.targets(), 2 * kSamples) << "each (image, view, tap) is computed once";
  for (const auto& cache : caches_) {
    EXPECT_GT(cache->store().stats().entries, kSamples / 2) << "both servers carry their share";
  }
}

TEST_F(ManyCachesTest, TheSamplesOfADeadServerGoToTheOther) {
  const TargetRequest request = FakeRequest(32);
  const auto student = Student();
  CollectingSink cold, orphaned;
  ASSERT_TRUE(student->Fetch(Soon(), request, cold).ok());
  Expect(request, cold);
  const int64_t held = caches_[1]->store().stats().entries;
  caches_[1].reset();  // its endpoint file stays, as after a kill
  ASSERT_TRUE(student->Fetch(Soon(), request, orphaned).ok());
  Expect(request, orphaned);
  EXPECT_EQ(teacher_.targets(), 32 + held) << "only the dead server's samples are computed again";
  std::filesystem::remove(EndpointFile(1));
  StartCache(1);
  CollectingSink again;
  ASSERT_TRUE(Student()->Fetch(Soon(), request, again).ok());
  EXPECT_EQ(teacher_.targets(), 32 + held) << "they return to the server that still holds them";
}

}  // namespace
}  // namespace reflux
