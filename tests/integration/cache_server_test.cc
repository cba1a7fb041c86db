// Student, cache server and teacher server over real gRPC in one process.
#include "cache/cache_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "cache/inventory.h"
#include "common/rpc/endpoints.h"
#include "common/rpc/server.h"
#include "common/targets/remote_source.h"
#include "common/targets/target_service.h"
#include "reflux/v1/targets.grpc.pb.h"
#include "tests/contract/cache_fixtures.h"

namespace reflux {
namespace {

class CacheServerTest : public testing::Test {
 protected:
  FakeTeacher& StartTeacher(int32_t elements = 16) {
    teacher_ = std::make_unique<FakeTeacher>(elements);
    teacher_service_ = MakeTargetService(*teacher_, {}, {});
    auto server = RpcServer::Start({.max_receive_bytes = kTargetServiceMaxReceiveBytes},
                                   {teacher_service_.get()});
    EXPECT_TRUE(server.ok()) << server.status();
    if (server.ok()) teacher_server_ = *std::move(server);
    return *teacher_;
  }
  void StartCache() {
    auto server = CacheServer::Start(
        {.store = {.directory = folder_.path() + "/cache", .min_free_disk_bytes = 0},
         .teacher = teacher_server_ == nullptr ? "" : teacher_server_->address(),
         .endpoint_file = folder_.path() + "/endpoint"},
        nullptr);
    ASSERT_TRUE(server.ok()) << server.status();
    cache_ = *std::move(server);
  }
  std::unique_ptr<TargetSource> Student() {
    return MakeRemoteSource({.endpoint = "@" + folder_.path() + "/endpoint"});
  }
  static FetchContext Soon() { return {.deadline = absl::Now() + absl::Seconds(60)}; }

  TemporaryFolder folder_;
  std::unique_ptr<FakeTeacher> teacher_;  // before the servers: it must outlive their calls
  std::unique_ptr<v1::TargetService::Service> teacher_service_;
  std::unique_ptr<RpcServer> teacher_server_;
  std::unique_ptr<CacheServer> cache_;
};

TEST_F(CacheServerTest, ServesWarmTargetsWithNoTeacherAlive) {
  FakeTeacher& teacher = StartTeacher();
  StartCache();
  const TargetRequest request = FakeRequest(4, 2);
  CollectingSink cold, warm;
  ASSERT_TRUE(Student()->GetTeacherInfo(Soon()).ok());
  ASSERT_TRUE(Student()->Fetch(Soon(), request, cold).ok());
  ASSERT_TRUE(cold.AllOk());
  EXPECT_EQ(teacher.targets(), 8);
  const std::string address = cache_->address();
  cache_.reset();
  teacher_server_.reset();
  StartCache();
  EXPECT_EQ(cache_->address(), address) << "the port published before is tried first";
  const auto info = Student()->GetTeacherInfo(Soon());
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->identity, FakeIdentity());
  ASSERT_TRUE(Student()->Fetch(Soon(), request, warm).ok());
  for (size_t i = 0; i < 4; ++i) {
    for (size_t j = 0; j < 2; ++j) {
      ASSERT_TRUE(warm.at(i, j).ok()) << warm.at(i, j).status();
      EXPECT_EQ(warm.at(i, j)->bytes, teacher.Expected(request, i, j).bytes);
    }
  }
}

TEST_F(CacheServerTest, CarriesAMapOf134Megabytes) {
  FakeTeacher& teacher = StartTeacher(/*elements=*/2048 * 128 * 128);
  StartCache();
  const TargetRequest request = FakeRequest(1);
  for (int pass = 0; pass < 2; ++pass) {
    CollectingSink sink;
    ASSERT_TRUE(Student()->Fetch(Soon(), request, sink).ok());
    ASSERT_TRUE(sink.at(0).ok()) << sink.at(0).status();
    EXPECT_EQ(sink.at(0)->bytes, teacher.Expected(request, 0).bytes);
  }
  EXPECT_EQ(teacher.targets(), 1);
}

TEST_F(CacheServerTest, SendsImagesThroughToTheTeacher) {
  FakeTeacher& teacher = StartTeacher();
  teacher.set_hook([](const FetchContext&, const SampleRef& sample, const TargetSpec&) {
    return sample.image == nullptr ? SampleNeededError(sample) : absl::OkStatus();
  });
  StartCache();
  TargetRequest request = FakeRequest(2);
  request.samples[0].digest = Sha256::Of("image a");
  request.samples[1].digest = Sha256::Of("image b");
  const auto student =
      MakeRemoteSource({.endpoint = cache_->address(),
                        .read_image = [](const Locator& locator) -> absl::StatusOr<std::string> {
                          return std::string(locator.path == "train/0.png" ? "image a" : "image b");
                        }});
  CollectingSink sink;
  ASSERT_TRUE(student->Fetch(Soon(), request, sink).ok());
  EXPECT_TRUE(sink.AllOk()) << sink.at(0).status();
  EXPECT_EQ(teacher.targets(), 2);
}

TEST_F(CacheServerTest, AnswersTheAdminsQuestions) {
  StartTeacher();
  StartCache();
  CollectingSink cold, warm;
  ASSERT_TRUE(Student()->GetTeacherInfo(Soon()).ok());
  ASSERT_TRUE(Student()->Fetch(Soon(), FakeRequest(3), cold).ok());
  ASSERT_TRUE(Student()->Fetch(Soon(), FakeRequest(3), warm).ok());
  const auto stub = v1::CacheAdminService::NewStub(
      grpc::CreateChannel(cache_->address(), grpc::InsecureChannelCredentials()));
  grpc::ClientContext stats_call, sets_call, verify_call;
  v1::CacheStats stats;
  ASSERT_TRUE(stub->Stats(&stats_call, {}, &stats).ok());
  EXPECT_EQ(stats.entries(), 3);
  EXPECT_EQ(stats.live_bytes(), 3 * 64);
  EXPECT_EQ(stats.hits(), 3);
  EXPECT_EQ(stats.misses(), 3);
  EXPECT_EQ(stats.fills(), 3);
  EXPECT_TRUE(stats.storing());
  EXPECT_GT(stats.free_disk_bytes(), 0);
  EXPECT_EQ(stats.directory(), folder_.path() + "/cache");
  v1::ListTargetSetsResponse sets;
  ASSERT_TRUE(stub->ListTargetSets(&sets_call, {}, &sets).ok());
  ASSERT_EQ(sets.sets_size(), 1);
  EXPECT_EQ(sets.sets(0).id(), "fake/fake@" + FakeIdentity().digest.Short());
  EXPECT_EQ(sets.sets(0).entries(), 3);
  EXPECT_EQ(sets.sets(0).spec().tap(), "logits");
  v1::VerifyResponse report;
  ASSERT_TRUE(stub->Verify(&verify_call, {}, &report).ok());
  EXPECT_EQ(report.entries(), 3);
  EXPECT_EQ(report.corrupted(), 0);
}

TEST_F(CacheServerTest, TellsWhatItHoldsAndStoresWithoutSending) {
  FakeTeacher& teacher = StartTeacher();
  StartCache();
  CollectingSink discarded, cold;
  const auto filler =
      MakeRemoteSource({.endpoint = "@" + folder_.path() + "/endpoint", .discard = true});
  ASSERT_TRUE(filler->Fetch(Soon(), FakeRequest(3, 2), discarded).ok());
  ASSERT_TRUE(discarded.AllOk());
  EXPECT_TRUE(discarded.at(2, 1)->bytes.empty());
  const auto inventory = MakeRemoteInventory("@" + folder_.path() + "/endpoint");
  const auto held = inventory->Held(FakeRequest(4, 2, /*first=*/1));  // 1 and 2 of 1, 2, 3, 4
  ASSERT_TRUE(held.ok()) << held.status();
  EXPECT_THAT(*held, testing::ElementsAre(true, true, true, true, false, false, false, false));
  const auto sets = inventory->Sets();
  ASSERT_TRUE(sets.ok()) << sets.status();
  ASSERT_EQ(sets->size(), 2u);
  EXPECT_EQ((*sets)[0].id, MakeTargetSetId((*sets)[0].set));
  EXPECT_EQ((*sets)[0].set.teacher, FakeIdentity());
  EXPECT_EQ(inventory->Stats()->entries, 6);
  ASSERT_TRUE(Student()->Fetch(Soon(), FakeRequest(3, 2), cold).ok());
  EXPECT_EQ(cold.at(1, 1)->bytes, teacher.Expected(FakeRequest(3, 2), 1, 1).bytes);
  EXPECT_EQ(teacher.targets(), 6);
  TargetRequest large = FakeRequest(1);
  large.samples.resize(TargetRequest::kMaxSamples + 1, large.samples[0]);
  EXPECT_TRUE(absl::IsInvalidArgument(inventory->Held(large).status()));
  // A server without a store says so.
  const auto direct = MakeRemoteSource({.endpoint = teacher_server_->address(), .discard = true});
  CollectingSink none;
  EXPECT_TRUE(absl::IsFailedPrecondition(direct->Fetch(Soon(), FakeRequest(1), none)));
}

TEST_F(CacheServerTest, SeveralServersAreAskedAsOne) {
  StartTeacher();
  StartCache();
  const auto other = CacheServer::Start(
      {.store = {.directory = folder_.path() + "/other", .min_free_disk_bytes = 0},
       .teacher = teacher_server_->address()},
      nullptr);
  ASSERT_TRUE(other.ok()) << other.status();
  const std::string& second = (*other)->address();
  CollectingSink here, there;
  ASSERT_TRUE(Student()->Fetch(Soon(), FakeRequest(2), here).ok());
  ASSERT_TRUE(
      MakeRemoteSource({.endpoint = second})->Fetch(Soon(), FakeRequest(2, 1, 2), there).ok());
  const auto inventory = MakeRemoteInventory(cache_->address() + "," + second);
  EXPECT_EQ(inventory->Held(FakeRequest(5)).value(),
            std::vector<bool>({true, true, true, true, false}));
  ASSERT_EQ(inventory->Sets()->size(), 1u) << "the same set in both";
  EXPECT_EQ((*inventory->Sets())[0].entries, 4);
  EXPECT_EQ(inventory->Stats()->entries, 4);
}

TEST_F(CacheServerTest, AFolderIsAskedLikeAServer) {
  EXPECT_EQ(OpenFolderInventory(folder_.path() + "/none").value()->Held(FakeRequest(2)).value(),
            std::vector<bool>({false, false}));
  EXPECT_FALSE(std::filesystem::exists(folder_.path() + "/none"));
  StartTeacher();
  StartCache();
  CollectingSink cold;
  ASSERT_TRUE(Student()->Fetch(Soon(), FakeRequest(2), cold).ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(OpenFolderInventory(folder_.path() + "/cache").status()));
  cold = CollectingSink();
  cache_.reset();
  const auto inventory = OpenFolderInventory(folder_.path() + "/cache");
  ASSERT_TRUE(inventory.ok()) << inventory.status();
  EXPECT_EQ((*inventory)->Held(FakeRequest(3)).value(), std::vector<bool>({true, true, false}));
}

TEST_F(CacheServerTest, ALockedDirectoryIsAStartError) {
  StartCache();
  const auto second = CacheServer::Start({.store = {.directory = folder_.path() + "/cache"}}, {});
  EXPECT_TRUE(absl::IsFailedPrecondition(second.status())) << second.status();
  EXPECT_EQ(second.status().message(),
            "the cache directory " + folder_.path() + "/cache is already open in this process");
}

// What a test asks of the admin service.
template <typename Request, typename Response>
grpc::Status Ask(const std::string& address,
                 grpc::Status (v1::CacheAdminService::Stub::*method)(grpc::ClientContext*,
                                                                     const Request&, Response*),
                 const Request& request, Response& response) {
  const auto stub = v1::CacheAdminService::NewStub(
      grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  response.Clear();
  return (stub.get()->*method)(&context, request, &response);
}

TEST_F(CacheServerTest, AListOfTeachersWithAnEmptyItemIsAStartError) {
  const auto server = CacheServer::Start(
      {.store = {.directory = folder_.path() + "/cache"}, .teacher = "a:1,"}, nullptr);
  EXPECT_TRUE(absl::IsInvalidArgument(server.status())) << server.status();
}

TEST_F(CacheServerTest, PinsAndRemovesSetsByName) {
  using Stub = v1::CacheAdminService::Stub;
  StartTeacher();
  StartCache();
  CollectingSink sink;
  ASSERT_TRUE(Student()->Fetch(Soon(), FakeRequest(3, 2), sink).ok());
  const std::string& address = cache_->address();
  v1::ListTargetSetsResponse pinned;
  v1::PinTargetSetsRequest pin;
  pin.set_set("fake/");
  pin.set_for_seconds(3600);
  const grpc::Status ambiguous = Ask(address, &Stub::PinTargetSets, pin, pinned);
  EXPECT_EQ(ambiguous.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(ambiguous.error_message(), testing::HasSubstr("/logits/fp32"));
  pin.set_all(true);
  ASSERT_TRUE(Ask(address, &Stub::PinTargetSets, pin, pinned).ok());
  ASSERT_EQ(pinned.sets_size(), 2);
  EXPECT_EQ(pinned.sets(0).pinned_for_seconds(), 3600);
  EXPECT_TRUE(pinned.sets(0).leased());
  pin.set_for_seconds(-1);
  EXPECT_EQ(Ask(address, &Stub::PinTargetSets, pin, pinned).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);

  v1::RemoveTargetSetsRequest remove;
  v1::RemoveTargetSetsResponse removed;
  remove.set_set("fake/teacher@" + FakeIdentity().digest.Short() + "/logits");
  const grpc::Status refused = Ask(address, &Stub::RemoveTargetSets, remove, removed);
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(refused.error_message(), testing::HasSubstr("is pinned: release it first"));
  pin.set_for_seconds(0);
  ASSERT_TRUE(Ask(address, &Stub::PinTargetSets, pin, pinned).ok());
  EXPECT_THAT(Ask(address, &Stub::RemoveTargetSets, remove, removed).error_message(),
              testing::HasSubstr("was used in the last ten minutes"));
  remove.set_force(true);
  ASSERT_TRUE(Ask(address, &Stub::RemoveTargetSets, remove, removed).ok());
  EXPECT_EQ(removed.freed_bytes(), 3 * 64);
  EXPECT_EQ(removed.sets_size(), 1);
  remove.set_set("nothing");
  EXPECT_EQ(Ask(address, &Stub::RemoveTargetSets, remove, removed).error_code(),
            grpc::StatusCode::NOT_FOUND);

  v1::CollectGarbageRequest collect;
  v1::CollectGarbageResponse collected;
  ASSERT_TRUE(Ask(address, &Stub::CollectGarbage, collect, collected).ok());
  EXPECT_EQ(collected.evicted_bytes(), 0) << "what is in use stays";
  EXPECT_EQ(collected.live_bytes(), 3 * 64);
}

}  // namespace
}  // namespace reflux
