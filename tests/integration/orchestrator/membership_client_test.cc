// MembershipClient against a hand-written MembershipService on a real port.
#include "common/membership/membership_client.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <future>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/mutex.h"
#include "common/rpc/endpoints.h"
#include "common/rpc/server.h"
#include "common/rpc/status.h"
#include "reflux/v1/jobs.grpc.pb.h"

namespace reflux {
namespace {

class FakeMembership : public v1::MembershipService::Service {
 public:
  grpc::Status Register(grpc::ServerContext*, const v1::RegisterRequest* request,
                        v1::RegisterResponse* response) override {
    MutexLock lock(mutex_);
    ++registrations_;
    registered_ = *request;
    changed_.NotifyAll();
    if (!refusal_.ok()) return ToGrpc(refusal_);
    known_ = true;
    response->set_lease_ms(60);
    response->set_store_address(store_address_);
    return grpc::Status::OK;
  }
  grpc::Status Heartbeat(grpc::ServerContext*, const v1::HeartbeatRequest* request,
                         v1::HeartbeatResponse* response) override {
    MutexLock lock(mutex_);
    if (!known_) return ToGrpc(absl::NotFoundError("unknown launch"));
    ++heartbeats_;
    step_ = request->progress().step();
    changed_.NotifyAll();
    response->set_stop(stop_);
    return grpc::Status::OK;
  }

  void Set(const std::function<void(FakeMembership&)>& change) {
    MutexLock lock(mutex_);
    change(*this);
  }
  bool WaitFor(const std::function<bool(const FakeMembership&)>& condition) {
    const absl::Time deadline = absl::Now() + absl::Seconds(20);
    MutexLock lock(mutex_);
    while (!condition(*this)) {
      if (!changed_.WaitUntil(mutex_, deadline)) return condition(*this);
    }
    return true;
  }

  Mutex mutex_;
  CondVar changed_;
  int registrations_ = 0, heartbeats_ = 0;
  int64_t step_ = 0;
  bool known_ = false, stop_ = false;
  std::string store_address_;
  absl::Status refusal_;
  v1::RegisterRequest registered_;
};

absl::Time Soon() { return absl::Now() + absl::Seconds(20); }

MembershipOptions Options(const std::string& orchestrator) {
  return {.orchestrator = orchestrator,
          .launch_id = "job.g2.r1",
          .job_id = "job",
          .role = "worker/1",
          .generation = 2,
          .address = "127.0.0.1:5",
          .min_retry = absl::Milliseconds(2),
          .max_retry = absl::Milliseconds(20)};
}

TEST(MembershipClient, RegistersAndReportsProgress) {
  FakeMembership fake;
  auto server = RpcServer::Start({}, {&fake}).value();
  auto client = MembershipClient::Start(Options(server->address()), {.progress =
                                                                         [] {
                                                                           v1::Progress progress;
                                                                           progress.set_step(17);
                                                                           return progress;
                                                                         }})
                    .value();
  ASSERT_TRUE(client->AwaitRegistered(Soon(), nullptr).ok());
  EXPECT_TRUE(fake.WaitFor([](const auto& f) { return f.heartbeats_ >= 2 && f.step_ == 17; }));
  MutexLock lock(fake.mutex_);
  EXPECT_EQ(fake.registered_.launch_id(), "job.g2.r1");
  EXPECT_EQ(fake.registered_.generation(), 2);
  EXPECT_EQ(fake.registered_.pid(), getpid());
  EXPECT_FALSE(fake.registered_.build_version().empty());
}

TEST(MembershipClient, AsksAgainUntilRankZeroHasReportedItsStore) {
  FakeMembership fake;
  auto server = RpcServer::Start({}, {&fake}).value();
  MembershipOptions options = Options(server->address());
  options.wants_store_address = true;
  auto client = MembershipClient::Start(options, {}).value();
  ASSERT_TRUE(fake.WaitFor([](const auto& f) { return f.registrations_ >= 2; }));
  fake.Set([](auto& f) { f.store_address_ = "127.0.0.1:4444"; });
  const auto store = client->AwaitStoreAddress(Soon(), nullptr);
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_EQ(*store, "127.0.0.1:4444");
}

TEST(MembershipClient, HearsTheWishToStop) {
  FakeMembership fake;
  auto server = RpcServer::Start({}, {&fake}).value();
  auto client = MembershipClient::Start(Options(server->address()), {}).value();
  ASSERT_TRUE(client->AwaitRegistered(Soon(), nullptr).ok());
  EXPECT_FALSE(client->stop_requested()->cancelled());
  fake.Set([](auto& f) { f.stop_ = true; });
  // Never answered by this fake, so only the stop ends the wait.
  EXPECT_TRUE(absl::IsCancelled(client->AwaitStoreAddress(Soon(), nullptr).status()));
  EXPECT_TRUE(client->stop_requested()->cancelled());
}

TEST(MembershipClient, CallsRefusedWhenAnotherGenerationRunsOrTheBuildsDiffer) {
  for (const absl::Status& refusal : {absl::FailedPreconditionError("generation 3 runs"),
                                      absl::UnimplementedError("another build")}) {
    FakeMembership fake;
    fake.refusal_ = refusal;
    auto server = RpcServer::Start({}, {&fake}).value();
    std::promise<absl::Status> refused;
    auto client =
        MembershipClient::Start(
            Options(server->address()),
            {.refused = [&refused](const absl::Status& status) { refused.set_value(status); }})
            .value();
    std::future<absl::Status> told = refused.get_future();
    ASSERT_EQ(told.wait_for(std::chrono::seconds(30)), std::future_status::ready);
    EXPECT_EQ(told.get(), refusal);
    EXPECT_EQ(client->AwaitRegistered(Soon(), nullptr).code(), refusal.code());
  }
}

TEST(MembershipClient, FindsARestartedOrchestratorThroughTheFile) {
  const std::string file =
      absl::StrCat(testing::TempDir(), "/membership-", getpid(), "/orchestrator");
  FakeMembership first, second;
  auto server = RpcServer::Start({}, {&first}).value();
  ASSERT_TRUE(PublishEndpoint(file, server->address()).ok());
  auto client = MembershipClient::Start(Options("@" + file), {}).value();
  ASSERT_TRUE(client->AwaitRegistered(Soon(), nullptr).ok());
  server = nullptr;
  auto restarted = RpcServer::Start({}, {&second}).value();
  ASSERT_TRUE(PublishEndpoint(file, restarted->address()).ok());
  // The new one does not know the launch, so the client registers again.
  EXPECT_TRUE(second.WaitFor([](const auto& f) { return f.heartbeats_ >= 1; }));
}

TEST(MembershipClient, EndsWhileTheOrchestratorIsAway) {
  auto client = MembershipClient::Start(Options("@/nonexistent/orchestrator"), {}).value();
  const absl::Status status =
      client->AwaitRegistered(absl::Now() + absl::Milliseconds(30), nullptr);
  EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
}

TEST(MembershipClient, RefusesMissingOptions) {
  EXPECT_TRUE(absl::IsInvalidArgument(MembershipClient::Start({}, {}).status()));
}

}  // namespace
}  // namespace reflux
