// Several servers as one source: who is asked, what happens when they fail, join and leave.
#include "common/targets/rendezvous_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <map>

#include "common/targets/rendezvous.h"
#include "tests/contract/cache_fixtures.h"

namespace reflux {
namespace {

// A FakeTeacher that can be "switched off": in mid-answer it delivers what it has, then the
// failure.
class Server : public TargetSource {
 public:
  absl::Status Fetch(const FetchContext& context, const TargetRequest& request,
                     TargetSink& sink) override {
    ++fetches;
    if (down) return absl::UnavailableError("connection refused");
    if (dies_after < 0) return teacher.Fetch(context, request, sink);
    int left = dies_after;
    for (size_t i = 0; i < request.samples.size(); ++i) {
      for (size_t j = 0; j < request.specs.size(); ++j) {
        if (left-- > 0) {
          sink.Deliver(i, j, Placed(sink, i, j, teacher.Expected(request, i, j)));
        } else {
          sink.Deliver(i, j, absl::UnavailableError("connection reset"));
        }
      }
    }
    return absl::OkStatus();
  }
  absl::StatusOr<TeacherInfo> GetTeacherInfo(const FetchContext& context) override {
    if (down) return absl::UnavailableError("connection refused");
    return teacher.GetTeacherInfo(context);
  }

  // Written where the sink wants it, if it wants that.
  static EncodedTarget Placed(TargetSink& sink, size_t i, size_t j, EncodedTarget target) {
    char* place = sink.Place(i, j, target, target.bytes.size());
    if (place == nullptr) return target;
    std::memcpy(place, target.bytes.data(), target.bytes.size());
    target.bytes = {place, target.bytes.size()};
    target.owner = nullptr;
    return target;
  }

  FakeTeacher teacher;
  std::atomic<bool> down{false};
  std::atomic<int> dies_after{-1};  // targets of a Fetch; negative: lives
  std::atomic<int> fetches{0};
};

class Borrowed : public TargetSource {
 public:
  explicit Borrowed(TargetSource& source) : source_(source) {}
  absl::Status Fetch(const FetchContext& context, const TargetRequest& request,
                     TargetSink& sink) override {
    return source_.Fetch(context, request, sink);
  }
  absl::StatusOr<TeacherInfo> GetTeacherInfo(const FetchContext& context) override {
    return source_.GetTeacherInfo(context);
  }

 private:
  TargetSource& source_;
};

class RendezvousSourceTest : public testing::Test {
 protected:
  RendezvousSourceTest() {
    source_ = MakeRendezvousSource(
        {.servers = [this]() -> absl::StatusOr<std::vector<ListedServer>> {
           std::vector<ListedServer> listed;
           for (const std::string& name : names_) listed.push_back({name, name});
           return listed;
         },
         .connect = [this](const ListedServer& server) -> std::unique_ptr<TargetSource> {
           return std::make_unique<Borrowed>(servers_[server.name]);
         },
         .rest = absl::Seconds(5),
         .backoff = absl::Milliseconds(1),
         .now = [this] { return now_; }});
  }
  // Fetches, and checks that everything came once and is right.
  void FetchAll(const TargetRequest& request) {
    CollectingSink sink;
    const absl::Status status = source_->Fetch(Soon(), request, sink);
    ASSERT_TRUE(status.ok()) << status;
    ASSERT_EQ(sink.size(), request.samples.size() * request.specs.size());
    for (size_t i = 0; i < request.samples.size(); ++i) {
      for (size_t j = 0; j < request.specs.size(); ++j) {
        ASSERT_TRUE(sink.at(i, j).ok()) << sink.at(i, j).status();
        EXPECT_EQ(sink.at(i, j)->bytes, servers_["a"].teacher.Expected(request, i, j).bytes);
      }
    }
  }
  std::string FirstOf(const TargetRequest& request, size_t sample) const {
    return names_[RendezvousOrder(PlacementKey(request.teacher, request.samples[sample]), names_)
                      .front()];
  }
  std::map<std::string, int> SharesOf(const TargetRequest& request) const {
    std::map<std::string, int> shares;
    for (size_t i = 0; i < request.samples.size(); ++i) ++shares[FirstOf(request, i)];
    return shares;
  }
  int64_t Answered(const std::string& name) { return servers_[name].teacher.targets(); }
  static FetchContext Soon() { return {.deadline = absl::Now() + absl::Seconds(30)}; }

  std::vector<std::string> names_ = {"a", "b", "c"};
  std::map<std::string, Server> servers_;
  absl::Time now_ = absl::FromUnixSeconds(1000);
  std::unique_ptr<TargetSource> source_;
};

// Wants each target in memory of its own.
class PlacingSink : public CollectingSink {
 public:
  char* Place(size_t sample, size_t spec, const EncodedTarget&, size_t size) override {
    std::string& place = places[{sample, spec}];
    place.assign(size, '\0');
    return place.data();
  }
  std::map<std::pair<size_t, size_t>, std::string> places;
};

TEST_F(RendezvousSourceTest, TargetsAreWrittenInTheirPlacesWhoeverIsAsked) {
  const TargetRequest request = FakeRequest(30, 2);
  for (const std::string& name : names_) servers_[name].dies_after = 100;
  servers_["a"].dies_after = 3;
  PlacingSink sink;
  ASSERT_TRUE(source_->Fetch(Soon(), request, sink).ok());
  EXPECT_EQ(sink.places.size(), 60u);
  for (const auto& [index, place] : sink.places) {
    const auto& [sample, spec] = index;
    ASSERT_TRUE(sink.at(sample, spec).ok());
    EXPECT_EQ(sink.at(sample, spec)->bytes.data(), place.data());
    EXPECT_EQ(place, servers_["b"].teacher.Expected(request, sample, spec).bytes);
  }
}

TEST_F(RendezvousSourceTest, EveryServerAnswersForItsOwnSamples) {
  const TargetRequest request = FakeRequest(60, 2);
  FetchAll(request);
  for (auto& [name, share] : SharesOf(request)) {
    EXPECT_GT(share, 5);
    EXPECT_EQ(Answered(name), 2 * share) << name << ": both taps of a sample lie with one server";
    EXPECT_EQ(servers_[name].fetches, 1);
  }
}

TEST_F(RendezvousSourceTest, TheSamplesOfADeadServerGoToTheNextAndReturn) {
  const TargetRequest request = FakeRequest(60);
  servers_["b"].down = true;
  FetchAll(request);
  EXPECT_EQ(Answered("a") + Answered("c"), 60);
  EXPECT_EQ(servers_["b"].fetches, 1);
  FetchAll(request);
  EXPECT_EQ(servers_["b"].fetches, 1) << "it rests";
  servers_["b"].down = false;
  now_ += absl::Seconds(6);
  FetchAll(request);
  FetchAll(request);
  EXPECT_EQ(servers_["b"].fetches, 3);
  EXPECT_EQ(Answered("b"), 2 * SharesOf(request)["b"]);
}

TEST_F(RendezvousSourceTest, AProbeThatFailsIsOneFetchARest) {
  const TargetRequest request = FakeRequest(60);
  servers_["b"].down = true;
  FetchAll(request);
  now_ += absl::Seconds(6);
  FetchAll(request);
  FetchAll(request);
  EXPECT_EQ(servers_["b"].fetches, 2);
}

TEST_F(RendezvousSourceTest, AServerThatDiesInMidAnswerCostsNoSecondDelivery) {
  const TargetRequest request = FakeRequest(60, 2);
  servers_["b"].dies_after = 7;
  FetchAll(request);  // the sink fails the test when a target comes twice
  EXPECT_EQ(servers_["b"].fetches, 1);
}

TEST_F(RendezvousSourceTest, ServersJoinAndLeave) {
  const TargetRequest request = FakeRequest(60);
  names_ = {"a"};
  FetchAll(request);
  EXPECT_EQ(Answered("a"), 60);
  names_ = {"a", "b", "c", "d"};
  FetchAll(request);
  const auto shares = SharesOf(request);
  EXPECT_EQ(Answered("a"), 60 + shares.at("a"));
  EXPECT_EQ(Answered("d"), shares.at("d"));
  names_ = {"d"};
  FetchAll(request);
  EXPECT_EQ(Answered("d"), shares.at("d") + 60);
}

TEST_F(RendezvousSourceTest, WaitsForServersUntilTheDeadline) {
  for (const std::string& name : names_) servers_[name].down = true;
  CollectingSink sink;
  const absl::Status status =
      source_->Fetch({.deadline = absl::Now() + absl::Milliseconds(60)}, FakeRequest(3), sink);
  EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr("connection refused"));
  EXPECT_EQ(sink.size(), 0u);
  names_.clear();
  EXPECT_TRUE(absl::IsDeadlineExceeded(
      source_->Fetch({.deadline = absl::Now() + absl::Milliseconds(20)}, FakeRequest(3), sink)));
}

TEST_F(RendezvousSourceTest, GoesOnWhenAllWereAwayAndOneComesBack) {
  for (const std::string& name : names_) servers_[name].down = true;
  servers_["c"].teacher.set_hook({});
  std::atomic<int> tries{0};
  names_ = {"a", "b"};
  const TargetRequest request = FakeRequest(5);
  FetchContext context = Soon();
  struct Revive : TargetSource {
    Server& server;
    std::atomic<int>& tries;
    Revive(Server& s, std::atomic<int>& t) : server(s), tries(t) {}
    absl::Status Fetch(const FetchContext& c, const TargetRequest& r, TargetSink& s) override {
      if (++tries > 4) server.down = false;
      return server.Fetch(c, r, s);
    }
    absl::StatusOr<TeacherInfo> GetTeacherInfo(const FetchContext& c) override {
      return server.GetTeacherInfo(c);
    }
  };
  const auto source = MakeRendezvousSource(
      {.servers = []() -> absl::StatusOr<std::vector<ListedServer>> {
         return std::vector<ListedServer>{{"a", "a"}, {"b", "b"}};
       },
       .connect = [&](const ListedServer& server) -> std::unique_ptr<TargetSource> {
         return std::make_unique<Revive>(servers_[server.name], tries);
       },
       .backoff = absl::Milliseconds(1)});
  CollectingSink sink;
  ASSERT_TRUE(source->Fetch(context, request, sink).ok());
  EXPECT_TRUE(sink.AllOk());
}

TEST_F(RendezvousSourceTest, APermanentErrorIsDeliveredAndNotAskedElsewhere) {
  const TargetRequest request = FakeRequest(60);
  servers_["b"].teacher.set_refusal(absl::FailedPreconditionError("another teacher"));
  CollectingSink sink;
  ASSERT_TRUE(source_->Fetch(Soon(), request, sink).ok());
  ASSERT_EQ(sink.size(), 60u);
  for (size_t i = 0; i < 60; ++i) {
    EXPECT_EQ(absl::IsFailedPrecondition(sink.at(i).status()), FirstOf(request, i) == "b");
  }
  names_ = {"b"};
  CollectingSink none;
  EXPECT_TRUE(absl::IsFailedPrecondition(source_->Fetch(Soon(), request, none)));
  EXPECT_EQ(none.size(), 0u) << "a request refused as a whole delivers nothing";
}

TEST_F(RendezvousSourceTest, AsksAnyLivingServerForTheTeacher) {
  servers_["a"].down = true;
  EXPECT_EQ(source_->GetTeacherInfo(Soon())->model, "fake");
}

TEST_F(RendezvousSourceTest, CancellationEndsTheWait) {
  for (const std::string& name : names_) servers_[name].down = true;
  FetchContext context = Soon();
  context.cancellation = std::make_shared<Cancellation>();
  context.cancellation->Cancel();
  CollectingSink sink;
  EXPECT_TRUE(absl::IsCancelled(source_->Fetch(context, FakeRequest(1), sink)));
}

}  // namespace
}  // namespace reflux
