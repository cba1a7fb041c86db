// FRSKD's classification through the orchestrator: two real workers, no teacher, no cache.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/file.h"
#include "common/spec/job_file.h"
#include "distill/checkpoint/model_checkpoint.h"
#include "distill/data/textures.h"
#include "tests/e2e/orchestrator_process.h"

namespace reflux {
namespace {

TEST(ClassificationJobTest, TwoWorkersTrainAClassifierAndReportItsAccuracy) {
  const std::string root = testing::TempDir() + "reflux_classification_job";
  std::filesystem::remove_all(root);
  std::filesystem::create_directories(root);
  ASSERT_TRUE(
      WriteTextures(root + "/images", {.format = "cifar10", .train = 40, .test = 20}, nullptr)
          .ok());
  const auto spec = ParseJob(
      {.text = absl::StrCat("name: images\ndata: {format: cifar10, root: ", root, "/images}\n", R"(
student: {model: wrn16x2}
losses: {frskd_classifier: {}}
targets: {views: live}
train: {global_batch: 8, steps: 4, threads: 1, learning_rate: 0.05, seed: 1}
run: {students: 2}
)")});
  ASSERT_TRUE(spec.ok()) << spec.status();
  v1::Job job;
  {
    OrchestratorProcess orchestrator(root + "/state");
    job = orchestrator.Await(orchestrator.Submit(*spec).job_id(), IsFinal);
  }
  EXPECT_EQ(job.state(), v1::JOB_STATE_SUCCEEDED) << job.message();
  ASSERT_TRUE(job.progress().has_top1());
  EXPECT_TRUE(job.progress().top5() >= job.progress().top1());
  EXPECT_LT(job.progress().miou(), 0);
  EXPECT_TRUE(job.progress().losses().contains("frskd_classifier"));
  for (const v1::Process& process : job.processes()) {
    EXPECT_TRUE(absl::StartsWith(process.role(), "worker/")) << process.role();
  }
  const auto student = LoadModelCheckpoint(job.directory() + "/student.safetensors");
  ASSERT_TRUE(student.ok()) << student.status();
  EXPECT_EQ(student->model->architecture(), "wrn16x2");
  const std::string metrics = ReadFile(job.directory() + "/metrics.jsonl", 1 << 20).value();
  int evaluations = 0;
  for (absl::string_view line : absl::StrSplit(metrics, '\n', absl::SkipEmpty())) {
    const auto row = nlohmann::json::parse(std::string(line));
    if (row.at("kind") != "evaluation") continue;
    ++evaluations;
    EXPECT_TRUE(row.at("top1").is_number() && !row.contains("miou")) << line;
  }
  EXPECT_EQ(evaluations, 2);
  std::filesystem::remove_all(root);
}

}  // namespace
}  // namespace reflux
