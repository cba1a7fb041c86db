#include "common/targets/pooled_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "absl/strings/str_cat.h"
#include "common/rpc/status.h"
#include "tests/integration/targets/fake_source.h"
#include "tests/support/fake_clock.h"

namespace reflux {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// One server of the pool, as a test scripts it.
struct Server {
  using Script = std::function<absl::Status(const TargetRequest&, TargetSink&)>;
  TeacherIdentity identity = MakeRequest(1, {"a"}).teacher;
  absl::Status away;          // what it says when asked who it is
  Script script = AnswerAll;  // a Fetch
  int64_t images_inferred = 0;
  std::vector<size_t> fetches;  // samples of each
  int asked = 0;

  static absl::Status AnswerAll(const TargetRequest& request, TargetSink& sink) {
    for (size_t i = 0; i < request.samples.size(); ++i) {
      for (size_t j = 0; j < request.specs.size(); ++j) {
        sink.Deliver(i, j, MakeTarget(request.samples[i], 4));
      }
    }
    return absl::OkStatus();
  }
};

class ServerSource : public TargetSource {
 public:
  ServerSource(Server& server, Mutex& mutex) : server_(server), mutex_(mutex) {}
  absl::Status Fetch(const FetchContext&, const TargetRequest& request, TargetSink& sink) override {
    Server::Script script;
    {
      MutexLock lock(mutex_);
      server_.fetches.push_back(request.samples.size());
      script = server_.script;
    }
    return script(request, sink);
  }
  absl::StatusOr<TeacherInfo> GetTeacherInfo(const FetchContext&) override {
    MutexLock lock(mutex_);
    ++server_.asked;
    if (!server_.away.ok()) return server_.away;
    return TeacherInfo{.identity = server_.identity, .images_inferred = server_.images_inferred};
  }

 private:
  Server& server_;
  Mutex& mutex_;
};

class PooledSourceTest : public testing::Test {
 protected:
  PooledSourceTest() {
    options_.clock = &clock_;
    options_.list = [this]() -> absl::StatusOr<std::vector<std::string>> {
      MutexLock lock(mutex_);
      return listed_;
    };
    options_.connect = [this](const std::string& name) {
      return std::make_unique<ServerSource>(servers_[name], mutex_);
    };
  }
  TargetSource& Pool() {
    if (pool_ == nullptr) pool_ = MakePooledSource(options_);
    return *pool_;
  }
  absl::Status Fetch(int samples = 1) {
    CollectingSink sink;
    const absl::Status status = Pool().Fetch({}, MakeRequest(samples, {"a"}), sink);
    if (!status.ok()) return status;
    EXPECT_EQ(sink.deliveries, samples);
    for (const auto& [index, target] : sink.targets) {
      if (!target.ok()) return target.status();
    }
    return status;
  }
  void List(std::vector<std::string> names) {
    MutexLock lock(mutex_);
    listed_ = std::move(names);
  }
  size_t Fetches(const std::string& name) { return servers_[name].fetches.size(); }

  FakeClock clock_;
  Mutex mutex_;
  std::map<std::string, Server> servers_ = {{"A", {}}, {"B", {}}, {"C", {}}};
  std::vector<std::string> listed_ = {"A", "B"};
  PooledSourceOptions options_;
  std::unique_ptr<TargetSource> pool_;
};

TEST_F(PooledSourceTest, ARequestGoesToTheOneWithTheLeastOutstandingWork) {
  // While A holds 3 samples, everything else goes to B; requests of an idle pool take turns.
  servers_["A"].script = [&](const TargetRequest& request, TargetSink& sink) {
    if (request.samples.size() == 3) {
      for (int i = 0; i < 4; ++i) EXPECT_TRUE(Fetch().ok());
    }
    return Server::AnswerAll(request, sink);
  };
  ASSERT_TRUE(Fetch(3).ok());
  EXPECT_THAT(servers_["A"].fetches, ElementsAre(3));
  EXPECT_THAT(servers_["B"].fetches, ElementsAre(1, 1, 1, 1));
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(Fetch().ok());
  EXPECT_EQ(Fetches("A"), 3);
  EXPECT_EQ(Fetches("B"), 6);
}

TEST_F(PooledSourceTest, WhatADyingServerHasNotDeliveredIsAskedOfAnother) {
  servers_["A"].script = [](const TargetRequest& request, TargetSink& sink) {
    sink.Deliver(1, 0, MakeTarget(request.samples[1], 4));
    return absl::UnavailableError("Socket closed");
  };
  CollectingSink sink;
  const TargetRequest request = MakeRequest(3, {"a"});
  ASSERT_TRUE(Pool().Fetch({}, request, sink).ok());
  EXPECT_EQ(sink.deliveries, 3) << "nothing comes twice";
  for (size_t i = 0; i < 3; ++i) {
    ASSERT_TRUE(sink.targets.at({i, 0}).ok());
    EXPECT_EQ(sink.targets.at({i, 0})->bytes, MakeTarget(request.samples[i], 4).bytes);
  }
  EXPECT_THAT(servers_["A"].fetches, ElementsAre(3));
  EXPECT_THAT(servers_["B"].fetches, ElementsAre(2));
}

TEST_F(PooledSourceTest, AFailingServerIsLeftOutForATimeAndComesBack) {
  servers_["A"].script = [](const TargetRequest&, TargetSink&) {
    return absl::UnavailableError("Connection refused");
  };
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(Fetch().ok());
  EXPECT_EQ(Fetches("A"), 1);
  EXPECT_EQ(Fetches("B"), 5);
  clock_.Advance(options_.policy.min_ejection);
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(Fetch().ok());
  EXPECT_EQ(Fetches("A"), 2) << "it got one more chance";
  clock_.Advance(options_.policy.min_ejection);
  ASSERT_TRUE(Fetch().ok());
  EXPECT_EQ(Fetches("A"), 2) << "the second time it is left out for longer";
  servers_["A"].script = Server::AnswerAll;
  clock_.Advance(options_.policy.min_ejection);
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(Fetch().ok());
  EXPECT_EQ(Fetches("A"), 4) << "it shares the work again";
}

TEST_F(PooledSourceTest, AClockThatIsSetLeavesAFailingServerOutForNoOtherTime) {
  servers_["A"].script = [](const TargetRequest&, TargetSink&) {
    return absl::UnavailableError("Connection refused");
  };
  ASSERT_TRUE(Fetch().ok());
  servers_["A"].script = Server::AnswerAll;
  clock_.Jump(absl::Hours(10));
  ASSERT_TRUE(Fetch().ok());
  EXPECT_EQ(Fetches("A"), 1) << "it comes back no sooner";
  clock_.Jump(-absl::Hours(20));
  clock_.Advance(options_.policy.min_ejection);
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(Fetch().ok());
  EXPECT_EQ(Fetches("A"), 2) << "nor later";
}

TEST_F(PooledSourceTest, AClockThatIsSetMakesNobodySlow) {
  const auto setting = [this](absl::Duration by) {
    return [this, by](const TargetRequest& request, TargetSink& sink) {
      clock_.Jump(by);
      clock_.Advance(absl::Seconds(1));
      return Server::AnswerAll(request, sink);
    };
  };
  servers_["A"].script = setting(absl::Hours(1));
  servers_["B"].script = setting(-absl::Hours(1));
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(Fetch().ok());
  EXPECT_EQ(Fetches("A"), 10);
}

TEST_F(PooledSourceTest, ServersJoinAlsoAfterAClockWasSetBack) {
  List({"A"});
  ASSERT_TRUE(Fetch().ok());
  clock_.Jump(-absl::Hours(10));
  List({"B"});
  clock_.Advance(options_.refresh);
  ASSERT_TRUE(Fetch().ok());
  EXPECT_EQ(Fetches("B"), 1);
}

TEST_F(PooledSourceTest, ASlowServerIsLeftOutWhileAnotherServes) {
  const auto taking = [this](absl::Duration time) {
    return [this, time](const TargetRequest& request, TargetSink& sink) {
      clock_.Advance(time);
      return Server::AnswerAll(request, sink);
    };
  };
  servers_["A"].script = taking(absl::Seconds(1));
  servers_["B"].script = taking(absl::Milliseconds(100));
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(Fetch().ok());
  const size_t before = Fetches("A");
  EXPECT_LE(before, options_.policy.min_fetches + 1u);
  List({"A"});
  clock_.Advance(options_.policy.slow_ejection);
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(Fetch().ok());
  EXPECT_EQ(Fetches("A"), before + 10) << "slow is better than nobody";
}

TEST_F(PooledSourceTest, AServerThatHangsPastTheTrysLimitCostsATryElsewhere) {
  servers_["A"].script = [](const TargetRequest&, TargetSink&) {
    return absl::DeadlineExceededError("Deadline Exceeded");
  };
  ASSERT_TRUE(Fetch(2).ok());
  EXPECT_THAT(servers_["B"].fetches, ElementsAre(2));
}

TEST_F(PooledSourceTest, AnotherTeacherIsRefusedByName) {
  servers_["A"].identity.digest = Sha256::Of("another");
  servers_["B"].identity.numerics.threads = 2;
  const absl::Status status = Fetch();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              testing::AllOf(HasSubstr("A is refused: digest "),
                             HasSubstr("B is refused: numerics.threads 2 instead of 1")));
  EXPECT_EQ(Fetches("A") + Fetches("B"), 0);
  servers_["C"] = {};
  List({"A", "B", "C"});
  clock_.Advance(options_.refresh);
  EXPECT_TRUE(Fetch().ok()) << "the right one has joined";
  EXPECT_EQ(Fetches("C"), 1);
}

TEST_F(PooledSourceTest, AServerThatChangesItsTeacherIsNoLongerUsed) {
  ASSERT_TRUE(Fetch().ok());
  ASSERT_TRUE(Fetch().ok());
  servers_["A"].identity.preprocessing.bgr = true;
  servers_["A"].script = [](const TargetRequest&, TargetSink&) {
    return absl::FailedPreconditionError("another teacher");
  };
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(Fetch().ok());
  EXPECT_EQ(Fetches("A"), 2);
  EXPECT_EQ(Fetches("B"), 6);
}

TEST_F(PooledSourceTest, ARequestThatIsAtFaultGoesBackToItsCaller) {
  for (const char* name : {"A", "B"}) {
    servers_[name].script = [](const TargetRequest&, TargetSink&) {
      return absl::NotFoundError("no tap 'aspq'");
    };
  }
  EXPECT_TRUE(absl::IsNotFound(Fetch()));
  EXPECT_EQ(Fetches("A") + Fetches("B"), 1);
  // The right teacher that insists is believed.
  servers_["A"].script = servers_["B"].script = [](const TargetRequest&, TargetSink&) {
    return absl::FailedPreconditionError("the image has changed");
  };
  EXPECT_THAT(std::string(Fetch().message()), HasSubstr("has changed"));
}

TEST_F(PooledSourceTest, ServersJoinAndLeave) {
  List({"A"});
  ASSERT_TRUE(Fetch().ok());
  List({"B"});
  clock_.Advance(options_.refresh);
  ASSERT_TRUE(Fetch().ok());
  ASSERT_TRUE(Fetch().ok());
  EXPECT_EQ(Fetches("A"), 1);
  EXPECT_EQ(Fetches("B"), 2);
}

TEST_F(PooledSourceTest, AFetchWaitsForTheFirstServer) {
  List({});
  std::thread fetch([this] { EXPECT_TRUE(Fetch().ok()); });
  clock_.AwaitWaiter();
  List({"A"});
  clock_.Advance(options_.refresh);
  fetch.join();
  EXPECT_EQ(Fetches("A"), 1);
}

TEST_F(PooledSourceTest, CancellationEndsTheWait) {
  List({});
  FetchContext context{.cancellation = std::make_shared<Cancellation>()};
  std::thread fetch([&] {
    CollectingSink sink;
    EXPECT_TRUE(absl::IsCancelled(Pool().Fetch(context, MakeRequest(1, {"a"}), sink)));
  });
  clock_.AwaitWaiter();
  context.cancellation->Cancel();
  fetch.join();
}

TEST_F(PooledSourceTest, ABusyServerIsAskedAgainWhenItSaid) {
  List({"A"});
  servers_["A"].script = [this](const TargetRequest&, TargetSink&) {
    servers_["A"].script = Server::AnswerAll;
    return BusyError("queue full", absl::Seconds(2));
  };
  std::thread fetch([this] { EXPECT_TRUE(Fetch().ok()); });
  clock_.AwaitWaiter();
  clock_.Advance(absl::Seconds(1));
  clock_.AwaitWaiter();
  EXPECT_EQ(Fetches("A"), 1) << "not before the two seconds are over";
  clock_.Advance(absl::Seconds(1));
  fetch.join();
  EXPECT_EQ(servers_["A"].asked, 1) << "busy is not failing: it need not say again who it is";
}

TEST_F(PooledSourceTest, TheFirstServerThatAnswersSaysWhichTeacherItIs) {
  servers_["A"].away = absl::UnavailableError("Connection refused");
  servers_["B"].images_inferred = 3;
  const auto info = Pool().GetTeacherInfo({});
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->identity, servers_["B"].identity);
  servers_["A"].away = absl::OkStatus();
  servers_["A"].images_inferred = 4;
  clock_.Advance(options_.policy.min_ejection);
  EXPECT_EQ(Pool().GetTeacherInfo({})->images_inferred, 7);
  servers_["A"].identity.digest = Sha256::Of("another");
  EXPECT_EQ(Pool().GetTeacherInfo({})->identity, servers_["B"].identity);
}

}  // namespace
}  // namespace reflux
