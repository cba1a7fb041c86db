// RemoteSource against the real TargetService on a real port.
#include "common/targets/remote_source.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/rpc/endpoints.h"
#include "common/rpc/server.h"
#include "common/rpc/server_list.h"
#include "common/rpc/status.h"
#include "common/targets/pooled_source.h"
#include "common/targets/target_service.h"
#include "common/targets/wire.h"
#include "tests/integration/targets/fake_source.h"

namespace reflux {
namespace {

struct Served {
  explicit Served(TargetSource& source)
      : service(MakeTargetService(source, {}, {})),
        server(
            RpcServer::Start({.max_receive_bytes = kTargetServiceMaxReceiveBytes}, {service.get()})
                .value()) {}
  std::unique_ptr<v1::TargetService::Service> service;
  std::unique_ptr<RpcServer> server;
};

RemoteSourceOptions Fast(const std::string& endpoint) {
  return {.endpoint = endpoint,
          .min_backoff = absl::Milliseconds(1),
          .max_backoff = absl::Milliseconds(5)};
}

// As a server answers that shares no file with its client.
absl::StatusOr<EncodedTarget> AnswerWithImage(const SampleRef& sample, const TargetSpec&) {
  if (sample.image == nullptr) return SampleNeededError(sample);
  return MakeTarget(sample, 4);
}

FetchContext Within(absl::Duration limit) { return {.deadline = absl::Now() + limit}; }

TEST(RemoteSource, DeliversEveryTargetOnceAndWhole) {
  FakeSource source([](const SampleRef& s, const TargetSpec&) { return MakeTarget(s, 1000); });
  Served served(source);
  const auto remote = MakeRemoteSource(Fast(served.server->address()));
  const TargetRequest request = MakeRequest(3, {"logits", "aspp"});
  CollectingSink sink;
  ASSERT_TRUE(remote->Fetch(Within(absl::Seconds(20)), request, sink).ok());
  EXPECT_EQ(sink.deliveries, 6);
  for (const auto& [index, target] : sink.targets) {
    ASSERT_TRUE(target.ok()) << target.status();
    EXPECT_EQ(target->bytes, MakeTarget(request.samples[index.first], 1000).bytes);
  }
}

TEST(RemoteSource, SendsTheLabelBesideTheImage) {
  const LabelFile label{.bytes = "a png",
                        .map = std::make_shared<const LabelMap>(LabelMap{
                            .num_classes = 3, .ignore_index = 255, .values = {{0, 2}, {9, 255}}})};
  FakeSource source([&](const SampleRef& s, const TargetSpec&) -> absl::StatusOr<EncodedTarget> {
    if (s.label == nullptr) return SampleNeededError(s);
    const bool same = s.label->bytes == label.bytes && *s.label->map == *label.map &&
                      s.label_digest == LabelDigest(label);
    if (!same) return absl::InternalError("another label arrived");
    return MakeTarget(s, 10);
  });
  Served served(source);
  RemoteSourceOptions options = Fast(served.server->address());
  options.read_image = [](const Locator& locator) { return locator.path; };
  TargetRequest request = MakeRequest(2, {"aspp"});
  request.specs[0].reduction = Reduction::kClassSums;
  for (SampleRef& sample : request.samples) sample.label_digest = LabelDigest(label);
  for (const bool changed : {false, true}) {
    options.read_label = [&](const Locator&) {
      LabelFile read = label;
      if (changed) read.bytes += "!";
      return read;
    };
    CollectingSink sink;
    EXPECT_TRUE(MakeRemoteSource(options)->Fetch(Within(absl::Seconds(20)), request, sink).ok());
    ASSERT_EQ(sink.targets.size(), 2);
    for (const auto& [index, target] : sink.targets)
      EXPECT_EQ(target.status().code(),
                changed ? absl::StatusCode::kFailedPrecondition : absl::StatusCode::kOk)
          << target.status();
  }
}

TEST(RemoteSource, CarriesAMapOf134MegabytesInChunks) {
  constexpr int32_t kElements = 2048 * 128 * 128;
  FakeSource source([](const SampleRef& s, const TargetSpec&) { return MakeTarget(s, kElements); });
  Served served(source);
  const auto remote = MakeRemoteSource(Fast(served.server->address()));
  CollectingSink sink;
  ASSERT_TRUE(remote->Fetch(Within(absl::Seconds(60)), MakeRequest(1, {"c4"}), sink).ok());
  const auto& target = sink.targets.at({0, 0});
  ASSERT_TRUE(target.ok()) << target.status();
  EXPECT_EQ(target->bytes.size(), size_t{134217728});
  EXPECT_TRUE(target->Verify().ok());
}

// Offers every target a place of its own.
class PlacingSink : public CollectingSink {
 public:
  PlacingSink(size_t targets, size_t size) : memory_(targets * size), size_(size) {}
  char* Place(size_t sample, size_t spec, const EncodedTarget&, size_t size) override {
    ++places;
    return size == size_ ? At(sample, spec) : nullptr;
  }
  char* At(size_t sample, size_t spec) { return memory_.data() + (2 * sample + spec) * size_; }
  int places = 0;

 private:
  std::vector<char> memory_;
  const size_t size_;
};

TEST(RemoteSource, WritesTargetsWhereTheCallerWantsThem) {
  const TargetRequest request = MakeRequest(3, {"logits", "aspp"});
  FakeSource source([](const SampleRef& s, const TargetSpec&) { return MakeTarget(s, 1000); },
                    request.teacher);
  Served served(source);
  const std::string address = served.server->address();
  std::vector<std::unique_ptr<TargetSource>> remotes;
  remotes.push_back(MakeRemoteSource(Fast(address)));
  remotes.push_back(MakePooledRemoteSource(Fast(address), {}, {}));
  for (const auto& remote : remotes) {
    PlacingSink sink(6, 4000);
    ASSERT_TRUE(remote->Fetch(Within(absl::Seconds(20)), request, sink).ok());
    EXPECT_EQ(sink.places, 6);
    ASSERT_EQ(sink.deliveries, 6);
    for (const auto& [index, target] : sink.targets) {
      ASSERT_TRUE(target.ok()) << target.status();
      EXPECT_EQ(target->bytes.data(), sink.At(index.first, index.second));
      EXPECT_EQ(target->bytes, MakeTarget(request.samples[index.first], 1000).bytes);
    }
  }
}

TEST(RemoteSource, AWrongChecksumCostsATryAndThePlaceIsWrittenAgain) {
  std::atomic<int> calls{0};
  FakeSource source([&](const SampleRef& s, const TargetSpec&) {
    EncodedTarget target = MakeTarget(s, 1000);
    if (++calls == 2) ++target.checksum;
    return target;
  });
  Served served(source);
  const TargetRequest request = MakeRequest(3, {"logits"});
  PlacingSink sink(6, 4000);
  ASSERT_TRUE(MakeRemoteSource(Fast(served.server->address()))
                  ->Fetch(Within(absl::Seconds(20)), request, sink)
                  .ok());
  EXPECT_EQ(sink.deliveries, 3);
  EXPECT_EQ(sink.places, 4);
  const EncodedTarget& again = sink.targets.at({1, 0}).value();
  EXPECT_EQ(again.bytes.data(), sink.At(1, 0));
  EXPECT_TRUE(again.Verify().ok());
}

TEST(RemoteSource, AnyClientOfTheProtocolReadsTheStream) {
  constexpr int32_t kElements = 1 << 20;  // two chunks
  FakeSource source([](const SampleRef& s, const TargetSpec&) { return MakeTarget(s, kElements); });
  Served served(source);
  const auto stub = v1::TargetService::NewStub(
      grpc::CreateChannel(served.server->address(), grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  const auto stream =
      stub->Fetch(&context, ToProto(MakeRequest(2, {"logits"}), Priority::kStudent));
  v1::FetchResponse part;
  std::vector<std::string> parts;
  while (stream->Read(&part)) {
    parts.push_back(part.has_header() ? absl::StrCat("header ", part.header().sample())
                                      : absl::StrCat("chunk ", part.chunk().size()));
  }
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(parts, (std::vector<std::string>{"header 0", "chunk 2097152", "chunk 2097152",
                                             "header 1", "chunk 2097152", "chunk 2097152"}));
}

TEST(RemoteSource, AServerThatGoesLeavesNothingOfItsTargetsBehind) {
  std::weak_ptr<const void> sent;
  FakeSource source([&](const SampleRef& s, const TargetSpec&) {
    EncodedTarget target = MakeTarget(s, 16 << 20);
    sent = target.owner;
    return target;
  });
  auto served = std::make_optional<Served>(source);
  const auto stub = v1::TargetService::NewStub(
      grpc::CreateChannel(served->server->address(), grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  const auto stream =
      stub->Fetch(&context, ToProto(MakeRequest(1, {"logits"}), Priority::kStudent));
  v1::FetchResponse part;
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(stream->Read(&part));
  served.reset();  // the client reads no further
  EXPECT_TRUE(sent.expired());
  while (stream->Read(&part)) continue;
  EXPECT_FALSE(stream->Finish().ok());
}

TEST(RemoteSource, RetriesOnlyWhatFailedForATime) {
  std::atomic<int> calls{0};
  FakeSource source([&](const SampleRef& s, const TargetSpec&) -> absl::StatusOr<EncodedTarget> {
    if (++calls == 2) return absl::UnavailableError("busy");
    return MakeTarget(s, 4);
  });
  Served served(source);
  const auto remote = MakeRemoteSource(Fast(served.server->address()));
  CollectingSink sink;
  ASSERT_TRUE(remote->Fetch(Within(absl::Seconds(20)), MakeRequest(3, {"logits"}), sink).ok());
  EXPECT_EQ(sink.deliveries, 3);
  EXPECT_EQ(calls, 4);
  EXPECT_TRUE(sink.targets.at({1, 0}).ok());
}

TEST(RemoteSource, GivesPermanentErrorsToTheCallerWithoutRetry) {
  FakeSource source([&](const SampleRef&, const TargetSpec&) -> absl::StatusOr<EncodedTarget> {
    return absl::NotFoundError("no tap 'aspq', taps: aspp, logits");
  });
  Served served(source);
  const auto remote = MakeRemoteSource(Fast(served.server->address()));
  CollectingSink sink;
  ASSERT_TRUE(remote->Fetch(Within(absl::Seconds(20)), MakeRequest(1, {"aspq"}), sink).ok());
  EXPECT_EQ(sink.targets.at({0, 0}).status().message(), "no tap 'aspq', taps: aspp, logits");
  EXPECT_EQ(source.fetches(), 1);
}

TEST(RemoteSource, AWholeRequestThatIsRefusedDeliversNothing) {
  FakeSource source([](const SampleRef& s, const TargetSpec&) { return MakeTarget(s, 4); });
  source.Refuse(absl::FailedPreconditionError("another teacher"));
  Served served(source);
  const auto remote = MakeRemoteSource(Fast(served.server->address()));
  CollectingSink sink;
  EXPECT_TRUE(absl::IsFailedPrecondition(
      remote->Fetch(Within(absl::Seconds(20)), MakeRequest(1, {"logits"}), sink)));
  EXPECT_EQ(sink.deliveries, 0);
}

TEST(RemoteSource, SendsTheImageWhenTheServerHasNoSuchFile) {
  FakeSource source(AnswerWithImage);
  Served served(source);
  RemoteSourceOptions options = Fast(served.server->address());
  options.read_image = [](const Locator& locator) { return locator.path; };
  CollectingSink sink;
  ASSERT_TRUE(MakeRemoteSource(options)
                  ->Fetch(Within(absl::Seconds(20)), MakeRequest(2, {"logits", "aspp"}), sink)
                  .ok());
  EXPECT_EQ(sink.deliveries, 4);
  for (const auto& [index, target] : sink.targets) EXPECT_TRUE(target.ok()) << target.status();
  EXPECT_EQ(source.fetches(), 2);
}

TEST(RemoteSource, SendsManyLargeImagesInSeveralMessages) {
  FakeSource source(AnswerWithImage);
  Served served(source);
  RemoteSourceOptions options = Fast(served.server->address());
  const std::string image(24 << 20, 'x');
  options.read_image = [&](const Locator&) { return image; };
  TargetRequest request = MakeRequest(5, {"logits", "aspp"});
  for (SampleRef& sample : request.samples) sample.digest = Sha256::Of(image);
  CollectingSink sink;
  ASSERT_TRUE(MakeRemoteSource(options)->Fetch(Within(absl::Minutes(1)), request, sink).ok());
  EXPECT_EQ(sink.deliveries, 10);
  for (const auto& [index, target] : sink.targets) EXPECT_TRUE(target.ok()) << target.status();
}

TEST(RemoteSource, RefusesAnImageThatChangedSinceItsDigestWasTaken) {
  FakeSource source([](const SampleRef& s, const TargetSpec&) { return SampleNeededError(s); });
  Served served(source);
  RemoteSourceOptions options = Fast(served.server->address());
  options.read_image = [](const Locator&) { return std::string("other bytes"); };
  CollectingSink sink;
  ASSERT_TRUE(MakeRemoteSource(options)
                  ->Fetch(Within(absl::Seconds(20)), MakeRequest(1, {"a"}), sink)
                  .ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(sink.targets.at({0, 0}).status()));
}

TEST(RemoteSource, AServerThatKeepsAskingForTheImageIsAnErrorNotALoop) {
  FakeSource source([](const SampleRef& s, const TargetSpec&) { return SampleNeededError(s); });
  Served served(source);
  RemoteSourceOptions options = Fast(served.server->address());
  options.read_image = [](const Locator& locator) { return locator.path; };
  CollectingSink sink;
  ASSERT_TRUE(MakeRemoteSource(options)
                  ->Fetch(Within(absl::Seconds(20)), MakeRequest(1, {"a"}), sink)
                  .ok());
  EXPECT_TRUE(IsSampleNeeded(sink.targets.at({0, 0}).status()));
  EXPECT_EQ(source.fetches(), 2);
}

TEST(RemoteSource, FindsARestartedServerThroughItsEndpointFile) {
  const std::string file = testing::TempDir() + "remote_source_restart/endpoint";
  FakeSource source([](const SampleRef& s, const TargetSpec&) { return MakeTarget(s, 4); });
  auto first = std::make_unique<Served>(source);
  ASSERT_TRUE(PublishEndpoint(file, first->server->address()).ok());
  const auto remote = MakeRemoteSource(Fast("@" + file));
  CollectingSink sink;
  ASSERT_TRUE(remote->Fetch(Within(absl::Seconds(20)), MakeRequest(1, {"a"}), sink).ok());
  first.reset();
  Served second(source);
  ASSERT_TRUE(PublishEndpoint(file, second.server->address()).ok());
  ASSERT_TRUE(remote->Fetch(Within(absl::Seconds(20)), MakeRequest(1, {"a"}), sink).ok());
  EXPECT_TRUE(sink.targets.at({0, 0}).ok());
  std::filesystem::remove_all(testing::TempDir() + "remote_source_restart");
}

TEST(RemoteSource, GivesUpAtTheDeadlineWhenNobodyListens) {
  const auto remote = MakeRemoteSource(Fast("127.0.0.1:1"));
  CollectingSink sink;
  const absl::Status status =
      remote->Fetch(Within(absl::Milliseconds(200)), MakeRequest(1, {"a"}), sink);
  EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
  EXPECT_EQ(sink.deliveries, 0);
}

TEST(RemoteSource, CancellationEndsTheWait) {
  const auto remote = MakeRemoteSource(Fast("127.0.0.1:1"));
  FetchContext context = Within(absl::Seconds(60));
  context.cancellation = std::make_shared<Cancellation>();
  context.cancellation->Cancel();
  CollectingSink sink;
  EXPECT_TRUE(absl::IsCancelled(remote->Fetch(context, MakeRequest(1, {"a"}), sink)));
}

// Two real servers; one is stopped with a request half answered.
TEST(PooledRemoteSource, AServerThatDiesInMidAnswerCostsATryAtTheOther) {
  const TeacherIdentity teacher = MakeRequest(1, {"a"}).teacher;
  std::atomic<RpcServer*> to_stop{nullptr};
  std::atomic<int> dying_answers{0};
  std::thread stopping;
  FakeSource healthy([](const SampleRef& s, const TargetSpec&) { return MakeTarget(s, 4); },
                     teacher);
  FakeSource dying(
      [&](const SampleRef& s, const TargetSpec&) {
        if (++dying_answers == 2) {
          stopping = std::thread([&] { to_stop.load()->Shutdown(absl::ZeroDuration()); });
          dying.AwaitCancelled();
        }
        return MakeTarget(s, 4);
      },
      teacher);
  Served dying_server(dying), other(healthy);
  to_stop = dying_server.server.get();
  const auto pool = MakePooledRemoteSource(
      Fast(absl::StrCat(dying_server.server->address(), ",", other.server->address())), {}, {});
  const TargetRequest request = MakeRequest(4, {"a"});
  CollectingSink sink;
  ASSERT_TRUE(pool->Fetch(Within(absl::Seconds(30)), request, sink).ok());
  stopping.join();
  EXPECT_EQ(sink.deliveries, 4);
  for (const auto& [index, target] : sink.targets) {
    ASSERT_TRUE(target.ok()) << target.status();
    EXPECT_EQ(target->bytes, MakeTarget(request.samples[index.first], 4).bytes);
  }
  EXPECT_EQ(dying.fetches(), 1);
  EXPECT_EQ(healthy.fetches(), 1);
}

TEST(PooledRemoteSource, ServersAreThoseThatPublishInTheFolder) {
  const std::string folder = testing::TempDir() + "pooled_remote_source/";
  std::filesystem::remove_all(folder);
  FakeSource source([](const SampleRef& s, const TargetSpec&) { return MakeTarget(s, 4); },
                    MakeRequest(1, {"a"}).teacher);
  Served first(source);
  const auto pool = MakePooledRemoteSource(Fast("@" + folder), {}, {});
  CollectingSink sink;
  EXPECT_TRUE(absl::IsDeadlineExceeded(
      pool->Fetch(Within(absl::Milliseconds(20)), MakeRequest(1, {"a"}), sink)));
  ASSERT_TRUE(PublishEndpoint(folder + "0", first.server->address()).ok());
  ASSERT_TRUE(pool->Fetch(Within(absl::Seconds(20)), MakeRequest(1, {"a"}), sink).ok());
  WithdrawEndpoint(folder + "0", "127.0.0.1:1");
  EXPECT_EQ(ListEndpoints("@" + folder)->size(), 1u) << "another server stands there";
  WithdrawEndpoint(folder + "0", first.server->address());
  EXPECT_EQ(ListEndpoints("@" + folder)->size(), 0u);
  std::filesystem::remove_all(folder);
}

TEST(RpcStatus, CarriesWhenToTryAgain) {
  const absl::Status status = FromGrpc(ToGrpc(BusyError("full", absl::Milliseconds(120))));
  EXPECT_TRUE(absl::IsResourceExhausted(status));
  EXPECT_EQ(RetryAfter(status), absl::Milliseconds(120));
  EXPECT_EQ(RetryAfter(absl::ResourceExhaustedError("full")), absl::ZeroDuration());
}

}  // namespace
}  // namespace reflux
