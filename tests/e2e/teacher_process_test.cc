// A real reflux-teacher: drains at SIGTERM, takes a new checkpoint at SIGHUP without losing a
// request.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/exit_codes.h"
#include "common/base/file.h"
#include "common/rpc/endpoints.h"
#include "common/targets/remote_source.h"
#include "distill/data/dataset.h"
#include "tests/e2e/proof_scene.h"
#include "tests/support/folder_watch.h"

extern char** environ;

namespace reflux {
namespace {

constexpr absl::Duration kPatience = absl::Minutes(3);

class TeacherProcessTest : public testing::Test {
 protected:
  void SetUp() override {
    root_ = testing::TempDir() + "reflux_teacher_process_" +
            testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(root_);
    std::filesystem::create_directories(root_);
    WriteProofImages(root_ + "/images", 4);
    WriteProofTeacher(root_ + "/teacher.safetensors", "deeplabv3_resnet18");
    ASSERT_TRUE(
        WriteFileAtomically(root_ + "/job.yaml", ProofYaml({.root = root_, .losses = "{kd: {}}"}))
            .ok());
    Start();
  }
  void TearDown() override {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
    if (!HasFailure()) std::filesystem::remove_all(root_);
  }

  void Start() {
    const char* folder = std::getenv("REFLUX_BIN");
    std::vector<std::string> command = {
        absl::StrCat(folder != nullptr ? folder : "build/release/bin", "/reflux-teacher"),
        "--job",
        root_ + "/job.yaml",
        "--endpoint-file",
        root_ + "/endpoint",
        "--runners",
        "2",
        "--canary-dir",
        root_ + "/canaries"};
    std::vector<char*> arguments;
    for (std::string& argument : command) arguments.push_back(argument.data());
    arguments.push_back(nullptr);
    ASSERT_EQ(posix_spawn(&pid_, arguments[0], nullptr, nullptr, arguments.data(), environ), 0);
    const std::string endpoint = "@" + root_ + "/endpoint";
    FolderWatch(root_).Await([&] { return ResolveEndpoint(endpoint).ok(); }, kPatience);
    remote_ = MakeRemoteSource({.endpoint = endpoint, .single_try = true});
    const auto info = remote_->GetTeacherInfo({.deadline = absl::Now() + kPatience});
    ASSERT_TRUE(info.ok()) << info.status();
    teacher_ = info->identity;
  }

  // `samples` different views of the first image.
  TargetRequest Request(int samples) {
    const Locator locator{"camvid", "train/000.jpg"};
    const Digest digest = Sha256::Of(ReadImageFile(root_ + "/images", locator).value());
    TargetRequest request{
        .teacher = teacher_, .samples = {}, .specs = {{.tap = "logits", .codec = Codec::kFp16}}};
    for (int i = 0; i < samples; ++i) {
      request.samples.push_back({.digest = digest,
                                 .view = {.resized_height = 120,
                                          .resized_width = 160,
                                          .crop_y = i % 20,
                                          .crop_height = 96,
                                          .crop_width = 128},
                                 .locator = locator});
    }
    return request;
  }

  std::string root_;
  pid_t pid_ = -1;
  std::unique_ptr<TargetSource> remote_;
  TeacherIdentity teacher_;
};

// Counts what comes; runs `first` at the first delivery.
struct CountingSink : TargetSink {
  explicit CountingSink(std::function<void()> at_first) : first(std::move(at_first)) {}
  void Deliver(size_t, size_t, absl::StatusOr<EncodedTarget> target) override {
    if (delivered + failed == 0) first();
    ++(target.ok() ? delivered : failed);
    if (!target.ok()) failure = target.status();
  }
  std::function<void()> first;
  int delivered = 0, failed = 0;
  absl::Status failure;
};

TEST_F(TeacherProcessTest, SigtermLosesNoAcceptedRequest) {
  // Both requests have begun to be answered, and have most of their way before them.
  std::atomic<int> begun{0};
  const auto begin = [&] {
    if (++begun == 2) kill(pid_, SIGTERM);
  };
  CountingSink a(begin), b(begin);
  const FetchContext context{.deadline = absl::Now() + kPatience};
  std::thread other([&] { EXPECT_TRUE(remote_->Fetch(context, Request(24), b).ok()); });
  EXPECT_TRUE(remote_->Fetch(context, Request(24), a).ok());
  other.join();
  EXPECT_EQ(a.delivered + b.delivered, 48) << a.failure << b.failure;
  int status = 0;
  ASSERT_EQ(waitpid(pid_, &status, 0), pid_);
  pid_ = -1;
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == kExitDone);
  EXPECT_FALSE(std::filesystem::exists(root_ + "/endpoint")) << "it has withdrawn its endpoint";
}

TEST_F(TeacherProcessTest, SighupTakesANewCheckpointAndLosesNoRequest) {
  const TeacherIdentity before = teacher_;
  WriteProofTeacher(root_ + "/teacher.safetensors", "deeplabv3_mobilenetv2");
  kill(pid_, SIGHUP);
  // Requests for the teacher of before are served until it is gone, and then refused as a whole.
  absl::Status status;
  int served = 0;
  const absl::Time limit = absl::Now() + kPatience;
  while (status.ok() && absl::Now() < limit) {
    CountingSink sink([] {});
    status = remote_->Fetch({.deadline = limit}, Request(6), sink);
    EXPECT_EQ(sink.failed, 0) << sink.failure;
    EXPECT_EQ(sink.delivered, status.ok() ? 6 : 0);
    ++served;
  }
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_GT(served, 1);
  const auto info = remote_->GetTeacherInfo({.deadline = absl::Now() + kPatience});
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->model, "deeplabv3_mobilenetv2");
  EXPECT_NE(info->identity.digest, before.digest);
  teacher_ = info->identity;
  CountingSink sink([] {});
  EXPECT_TRUE(remote_->Fetch({.deadline = absl::Now() + kPatience}, Request(4), sink).ok());
  EXPECT_EQ(sink.delivered, 4);
}

}  // namespace
}  // namespace reflux
