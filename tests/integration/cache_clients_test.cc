// Several clients of one cache server, and one that asks for too much.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <latch>
#include <string_view>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "cache/cache_server.h"
#include "common/rpc/server.h"
#include "common/targets/remote_source.h"
#include "common/targets/target_service.h"
#include "common/targets/wire.h"
#include "tests/contract/cache_fixtures.h"
#include "tests/support/raw_call.h"

namespace reflux {
namespace {

using testing::HasSubstr;

// The most memory that this process ever had: CTest gives each case a process of its own.
int64_t PeakMiB() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss >> 10;
}

// Since then. Sanitizers have memory of their own, several times ours.
void ExpectGrowthBelow(int64_t mib, int64_t before) {
  if (std::string_view(REFLUX_SANITIZE).empty()) {
    EXPECT_LT(PeakMiB() - before, mib);
  }
}

class CacheClientsTest : public testing::Test {
 protected:
  struct Teacher {
    Teacher(const TeacherIdentity& identity) : source(/*elements=*/16, identity) {}
    FakeTeacher source;
    const std::unique_ptr<v1::TargetService::Service> service = MakeTargetService(source, {}, {});
    const std::unique_ptr<RpcServer> server = *RpcServer::Start({}, {service.get()});
  };

  // A cache before a teacher server for each of these.
  void Start(const std::vector<TeacherIdentity>& identities) {
    std::vector<std::string> addresses;
    for (const TeacherIdentity& identity : identities) {
      teachers_.push_back(std::make_unique<Teacher>(identity));
      addresses.push_back(teachers_.back()->server->address());
    }
    auto cache = CacheServer::Start(
        {.store = {.directory = folder_.path() + "/cache", .min_free_disk_bytes = 0},
         .teacher = absl::StrJoin(addresses, ",")},
        nullptr);
    ASSERT_TRUE(cache.ok()) << cache.status();
    cache_ = *std::move(cache);
  }
  // A client of the teacher that asks for all targets of `request`.
  void FetchAndCompare(TargetRequest request, const TeacherIdentity& teacher,
                       const FakeTeacher& source) {
    request.teacher = teacher;
    CollectingSink sink;
    const auto student = MakeRemoteSource({.endpoint = cache_->address()});
    const FetchContext soon{.deadline = absl::Now() + absl::Seconds(60)};
    ASSERT_TRUE(student->Fetch(soon, request, sink).ok());
    for (size_t i = 0; i < request.samples.size(); ++i) {
      ASSERT_TRUE(sink.at(i).ok()) << sink.at(i).status();
      EXPECT_EQ(sink.at(i)->bytes, source.Expected(request, i).bytes);
    }
  }

  // A user of gRPC for good: its end with the last one may take it ten seconds.
  static void SetUpTestSuite() {
    static const auto& user = *new std::shared_ptr<grpc::Channel>(
        grpc::CreateChannel("unix:none", grpc::InsecureChannelCredentials()));
    ASSERT_NE(user, nullptr);
  }

  TemporaryFolder folder_;
  std::vector<std::unique_ptr<Teacher>> teachers_;  // they outlive the cache's calls
  std::unique_ptr<CacheServer> cache_;
};

TEST_F(CacheClientsTest, EachGetsTheTargetsOfItsOwnTeacher) {
  std::vector<TeacherIdentity> identities(3, FakeIdentity());
  identities[1] = FakeIdentity("another");
  identities[2].preprocessing.bgr = true;  // the same weights see other colours
  Start(identities);
  const TargetRequest request = FakeRequest(20);
  for (int pass = 0; pass < 2; ++pass) {  // from the teachers, then from the store
    std::latch started(static_cast<std::ptrdiff_t>(identities.size()));
    std::vector<std::thread> clients;
    for (size_t i = 0; i < identities.size(); ++i) {
      clients.emplace_back([&, i] {
        started.arrive_and_wait();
        FetchAndCompare(request, identities[i], teachers_[i]->source);
      });
    }
    for (std::thread& client : clients) client.join();
  }
  for (const auto& teacher : teachers_) EXPECT_EQ(teacher->source.targets(), 20);
}

constexpr char kFetch[] = "/reflux.v1.TargetService/Fetch";
constexpr char kContains[] = "/reflux.v1.CacheAdminService/Contains";

std::string Serialized(const TargetRequest& request) {
  return ToProto(request, Priority::kStudent).SerializeAsString();
}

// A request for so many samples as it is on the wire, made without one in memory.
std::string SerializedRequest(int samples) {
  v1::FetchRequest more;
  *more.add_samples() = ToProto(FakeRequest(1), Priority::kStudent).samples(0);
  const std::string sample = more.SerializeAsString();
  std::string request = Serialized(FakeRequest(1));
  request.reserve(request.size() + sample.size() * static_cast<size_t>(samples));
  for (int i = 1; i < samples; ++i) request += sample;
  return request;
}

class GreedyClientTest : public CacheClientsTest,
                         public testing::WithParamInterface<const char*> {};

TEST_P(GreedyClientTest, IsRefusedAMillionSamplesInOneRequest) {
  Start({FakeIdentity()});
  const std::string request = SerializedRequest(1'000'000);  // 62 MiB
  const int64_t before = PeakMiB();
  const auto answer = RawCall(cache_->address(), GetParam(), request);
  EXPECT_TRUE(absl::IsInvalidArgument(answer.status())) << answer.status();
  EXPECT_THAT(std::string(answer.status().message()), HasSubstr("at most 1024 samples"));
  ExpectGrowthBelow(640, before);  // it is parsed before it is refused
  EXPECT_EQ(teachers_[0]->source.targets(), 0);
}

TEST_P(GreedyClientTest, IsRefusedAMessageOfMoreThan80MiB) {
  Start({FakeIdentity()});
  const std::string request = SerializedRequest(1'400'000);
  const int64_t before = PeakMiB();
  const auto answer = RawCall(cache_->address(), GetParam(), request);
  EXPECT_TRUE(absl::IsResourceExhausted(answer.status())) << answer.status();
  EXPECT_THAT(std::string(answer.status().message()), HasSubstr("larger than max"));
  ExpectGrowthBelow(256, before);
}

INSTANTIATE_TEST_SUITE_P(Methods, GreedyClientTest, testing::Values(kFetch, kContains),
                         [](const auto& instance) {
                           const std::string method = instance.param;
                           return method.substr(method.rfind('/') + 1);
                         });

// All that one request may ask for: 16 Ki targets, of a teacher of that number.
TargetRequest LargestRequest(int number) {
  TargetRequest request = FakeRequest(TargetRequest::kMaxSamples);
  request.teacher = FakeIdentity(absl::StrCat("teacher", number));
  for (size_t i = 1; i < TargetRequest::kMaxSpecs; ++i) {
    request.specs.push_back({.tap = absl::StrCat("tap", i)});
  }
  return request;
}

TEST_F(CacheClientsTest, AMillionKeysInManyRequestsTakeLittleMemory) {
  Start({});
  const int64_t before = PeakMiB();
  for (int number = 0; number < 64; ++number) {
    const auto answer = RawCall(cache_->address(), kContains, Serialized(LargestRequest(number)));
    ASSERT_TRUE(answer.ok()) << answer.status();
  }
  const auto student = MakeRemoteSource({.endpoint = cache_->address()});
  for (int number = 0; number < 8; ++number) {
    CollectingSink sink;
    ASSERT_TRUE(student->Fetch({}, LargestRequest(number), sink).ok());
    EXPECT_EQ(sink.size(), 16u << 10);
  }
  ExpectGrowthBelow(128, before);
}

}  // namespace
}  // namespace reflux
