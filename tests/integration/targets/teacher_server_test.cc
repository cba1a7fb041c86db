// TeacherServer over scripted teachers, through real gRPC: canary, reload, drain.
#include "teacher_server/teacher_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/rpc/endpoints.h"
#include "common/targets/remote_source.h"
#include "teacher_server/canary.h"
#include "tests/integration/targets/fake_source.h"
#include "tests/support/fake_clock.h"

namespace reflux {
namespace {

using testing::HasSubstr;

TeacherIdentity Named(const std::string& name) {
  TeacherIdentity identity;
  identity.digest = Sha256::Of(name);
  return identity;
}

TargetRequest Request(const std::string& teacher, int samples) {
  TargetRequest request = MakeRequest(samples, {"logits"});
  request.teacher = Named(teacher);
  return request;
}

class TeacherServerTest : public testing::Test {
 protected:
  TeacherServerTest() {
    folder_ = absl::StrCat(testing::TempDir(), "teacher_server_test-", getpid(), "/");
    std::filesystem::remove_all(folder_);
    options_.clock = &clock_;
    options_.max_delay = absl::ZeroDuration();
    options_.on_wrong_arithmetic = [this] { wrong_->Cancel(); };
    next_ = Teacher("first");
  }
  ~TeacherServerTest() override {
    server_.reset();
    std::filesystem::remove_all(folder_);
  }

  // A teacher whose answers have `sign_` in their first byte.
  std::shared_ptr<FakeSource> Teacher(const std::string& name) {
    return std::make_shared<FakeSource>(
        [this](const SampleRef& sample, const TargetSpec&) {
          if (sample.locator.dataset != kCanaryDataset) gate_();
          return EncodedTarget::FromBytes(std::string(4, static_cast<char>(sign_.load())),
                                          DType::kFloat32, Codec::kFp32, {1, 1, 1});
        },
        Named(name));
  }
  absl::Status Start() {
    auto started = TeacherServer::Start(
        [this]() -> absl::StatusOr<ServedTeacher> {
          MutexLock lock(mutex_);
          ++loads_;
          if (next_ == nullptr) return absl::NotFoundError("no such checkpoint");
          return ServedTeacher{
              .source = next_, .identity = next_->GetTeacherInfo({})->identity, .bit_exact = true};
        },
        options_, nullptr);
    if (!started.ok()) return started.status();
    server_ = *std::move(started);
    remote_ = MakeRemoteSource({.endpoint = server_->address(), .single_try = true});
    return absl::OkStatus();
  }
  absl::Status Fetch(const std::string& teacher, int samples, CollectingSink& sink) {
    return remote_->Fetch({.deadline = absl::Now() + absl::Seconds(20)}, Request(teacher, samples),
                          sink);
  }
  absl::Status Fetch(const std::string& teacher) {
    CollectingSink sink;
    return Fetch(teacher, 1, sink);
  }
  void LoadNext(std::shared_ptr<FakeSource> teacher) {
    MutexLock lock(mutex_);
    next_ = std::move(teacher);
  }
  std::string folder_;
  FakeClock clock_;
  Mutex mutex_;
  int loads_ REFLUX_GUARDED_BY(mutex_) = 0;
  std::shared_ptr<FakeSource> next_ REFLUX_GUARDED_BY(mutex_);
  std::atomic<int> sign_ = 1;
  std::function<void()> gate_ = [] {};  // before every answer but the canary's
  std::shared_ptr<Cancellation> wrong_ = std::make_shared<Cancellation>();
  TeacherServerOptions options_;
  std::unique_ptr<TeacherServer> server_;
  std::unique_ptr<TargetSource> remote_;
};

TEST_F(TeacherServerTest, ServesUntilTheCanaryGivesAnotherAnswer) {
  ASSERT_TRUE(Start().ok());
  EXPECT_TRUE(server_->serving());
  EXPECT_TRUE(Fetch("first").ok());
  sign_ = 2;                           // the arithmetic is no longer what it was
  clock_.Jump(-absl::Hours(100'000));  // nor does the canary wait for a clock that is set
  for (int i = 0; i < 1000 && !wrong_->cancelled(); ++i) {
    clock_.Advance(options_.canary_interval);
    clock_.AwaitWaiter();
  }
  ASSERT_TRUE(wrong_->cancelled());
  EXPECT_FALSE(server_->serving());
  const absl::Status refused = Fetch("first");
  EXPECT_TRUE(absl::IsUnavailable(refused)) << refused;
  EXPECT_THAT(std::string(refused.message()), HasSubstr("canary image"));
}

TEST_F(TeacherServerTest, AnAnswerRememberedFromBeforeMustComeAgain) {
  options_.canary_directory = folder_ + "canaries";
  ASSERT_TRUE(Start().ok());
  server_.reset();
  ASSERT_TRUE(Start().ok()) << "the same answer";
  server_.reset();
  sign_ = 2;
  const absl::Status refused = Start();
  EXPECT_TRUE(absl::IsDataLoss(refused)) << refused;
  EXPECT_THAT(std::string(refused.message()), HasSubstr("arithmetic cannot be trusted"));
  LoadNext(Teacher("second"));
  EXPECT_TRUE(Start().ok()) << "another teacher has its own";
}

TEST_F(TeacherServerTest, AReloadDropsNoRequest) {
  ASSERT_TRUE(Start().ok());
  // A request is under way in the first teacher while the second takes its place.
  const auto reached = std::make_shared<Cancellation>(), open = std::make_shared<Cancellation>();
  gate_ = [&] {
    reached->Cancel();
    AwaitCancelled({open.get()});
  };
  CollectingSink sink;
  std::thread running([&] { EXPECT_TRUE(Fetch("first", 3, sink).ok()); });
  AwaitCancelled({reached.get()});
  LoadNext(Teacher("second"));
  server_->RequestReload();
  const auto now_second = [&] {
    const auto info = server_->source().GetTeacherInfo({});
    return info.ok() && info->identity == Named("second");
  };
  while (!now_second()) std::this_thread::yield();
  open->Cancel();
  running.join();
  EXPECT_EQ(sink.deliveries, 3);
  for (const auto& [index, target] : sink.targets) EXPECT_TRUE(target.ok()) << target.status();
  const absl::Status old = Fetch("first");
  EXPECT_TRUE(absl::IsFailedPrecondition(old)) << old;
  EXPECT_THAT(std::string(old.message()), HasSubstr("digest"));
  EXPECT_TRUE(Fetch("second").ok());
}

TEST_F(TeacherServerTest, AReloadThatFailsChangesNothing) {
  ASSERT_TRUE(Start().ok());
  LoadNext(nullptr);
  server_->RequestReload();
  const auto loads = [this] {
    MutexLock lock(mutex_);
    return loads_;
  };
  while (loads() < 2) std::this_thread::yield();
  EXPECT_TRUE(Fetch("first").ok());
  EXPECT_TRUE(server_->serving());
}

TEST_F(TeacherServerTest, AtItsEndAcceptedRequestsAreServedAndNewOnesRefused) {
  options_.endpoint_file = folder_ + "endpoint";
  ASSERT_TRUE(Start().ok());
  ASSERT_TRUE(ResolveEndpoint("@" + options_.endpoint_file).ok());
  const auto reached = std::make_shared<Cancellation>(), open = std::make_shared<Cancellation>();
  gate_ = [&] {
    reached->Cancel();
    AwaitCancelled({open.get()});
  };
  CollectingSink sink;
  std::thread running([&] { EXPECT_TRUE(Fetch("first", 20, sink).ok()); });
  AwaitCancelled({reached.get()});
  std::thread stopping([&] { server_->Shutdown(absl::Seconds(20)); });
  while (ResolveEndpoint("@" + options_.endpoint_file).ok()) std::this_thread::yield();
  absl::Status refused;
  while ((refused = Fetch("none")).code() == absl::StatusCode::kFailedPrecondition) {
  }
  EXPECT_TRUE(absl::IsUnavailable(refused)) << refused;
  EXPECT_THAT(std::string(refused.message()), HasSubstr("is stopping"));
  open->Cancel();
  running.join();
  stopping.join();
  EXPECT_EQ(sink.deliveries, 20);
  for (const auto& [index, target] : sink.targets) EXPECT_TRUE(target.ok()) << target.status();
}

}  // namespace
}  // namespace reflux
