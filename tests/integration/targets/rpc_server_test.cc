// What every server offers besides its own services, and what a port in use answers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/rpc/server.h"
#include "common/targets/target_service.h"
#include "reflux/v1/jobs.grpc.pb.h"
#include "tests/integration/targets/fake_source.h"
#include "tests/support/raw_call.h"

namespace reflux {
namespace {

using testing::HasSubstr;

class RpcServerTest : public testing::Test {
 protected:
  FakeSource source_ =
      FakeSource([](const SampleRef& sample, const TargetSpec&) { return MakeTarget(sample, 4); });
  const std::unique_ptr<v1::TargetService::Service> targets_ = MakeTargetService(source_, {}, {});
  v1::JobService::Service jobs_;
  const std::unique_ptr<RpcServer> server_ = RpcServer::Start({}, {targets_.get(), &jobs_}).value();
};

TEST_F(RpcServerTest, HealthIsWhatTheServerWasToldToSay) {
  EXPECT_EQ(IsServing(server_->address()).value(), false) << "not yet";
  server_->SetServing(true);
  EXPECT_EQ(IsServing(server_->address()).value(), true);
  server_->SetServing(false);
  EXPECT_EQ(IsServing(server_->address()).value(), false);
}

TEST_F(RpcServerTest, ReflectionNamesItsServices) {
  const auto services = ListedServices(server_->address());
  ASSERT_TRUE(services.ok()) << services.status();
  EXPECT_THAT(*services, HasSubstr("reflux.v1.TargetService"));
  EXPECT_THAT(*services, HasSubstr("reflux.v1.JobService"));
  EXPECT_THAT(*services, HasSubstr("grpc.health.v1.Health"));
}

TEST_F(RpcServerTest, APortInUseIsAClearError) {
  const auto second = RpcServer::Start({.address = server_->address()}, {});
  EXPECT_TRUE(absl::IsAlreadyExists(second.status())) << second.status();
  EXPECT_EQ(second.status().message(),
            "cannot listen on " + server_->address() +
                ": the port is in use or not permitted; choose another, or port 0 for any free "
                "one");
}

TEST_F(RpcServerTest, RefusesToListenBeyondLoopbackUnlessToldTo) {
  const auto status = RpcServer::Start({.address = "0.0.0.0:0"}, {}).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("say --insecure to listen there"));
}

}  // namespace
}  // namespace reflux
