// Classification as a job on images in CIFAR's form: FRSKD on two ranks goes on after a stop to the
// same bits, ranks of any number agree in double with mixed images and rotations too, the
// self-teacher stays behind on export, and a teacher may be a classifier.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/file.h"
#include "common/spec/job_file.h"
#include "distill/checkpoint/model_checkpoint.h"
#include "distill/data/textures.h"
#include "distill/tensors/safetensors.h"
#include "student_worker/target_path.h"
#include "student_worker/trainer.h"
#include "tests/unit/student_worker/collectives/ranks.h"

namespace reflux {
namespace {

using testing::ElementsAre;
using testing::Key;

constexpr int kSteps = 6, kStopAfter = 3;

// Keeps what rank 0 is told and stops the run after a step.
struct RecordingObserver : TrainingObserver {
  explicit RecordingObserver(int64_t stop_after) : after(stop_after) {}
  void OnStep(const StepReport& report) override {
    steps.push_back(report.losses);
    targets += report.target_count;
    if (report.step == after) stop->Cancel();
  }
  void OnEvaluation(const EvaluationReport& report) override { evaluations.push_back(report); }
  const int64_t after;
  const std::shared_ptr<Cancellation> stop = std::make_shared<Cancellation>();
  std::vector<std::map<std::string, double>> steps;
  std::vector<EvaluationReport> evaluations;
  int64_t targets = 0;
};

class ClassificationTest : public testing::Test {
 protected:
  void SetUp() override {
    root_ = testing::TempDir() + "reflux_classification_" +
            testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(root_);
    std::filesystem::create_directories(root_);
    ASSERT_TRUE(
        WriteTextures(root_ + "/images", {.format = "cifar10", .train = 20, .test = 10}, nullptr)
            .ok());
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  v1::JobSpec Job(const std::string& losses, const std::string& precision,
                  const std::string& mix = "none", const std::string& more = "") const {
    return ParseJob({.text = absl::StrFormat(R"(
name: classification
data: {format: cifar10, root: %s/images}
student: {model: wrn16x2}
losses: %s
targets: {views: live}
train: {global_batch: 5, steps: %d, precision: %s, seed: 5, threads: 1, learning_rate: 0.01,
        mix: %s, mix_alpha: 1}
%s
)",
                                             root_, losses, kSteps, precision, mix, more)})
        .value();
  }

  // Trains on `ranks`; what rank 0 saw. It alone writes checkpoints, in the rank's folder.
  RecordingObserver Train(const v1::JobSpec& spec, const std::string& folder, int ranks,
                          TrainingEnd expected, int64_t stop_after = 0,
                          TargetSource* source = nullptr) {
    RecordingObserver seen(stop_after);
    RunRanks(ranks, [&](Communicator& communicator) {
      RecordingObserver others(0);
      RecordingObserver& observer = communicator.rank() == 0 ? seen : others;
      const std::string directory = absl::StrCat(root_, "/", folder, "/", communicator.rank());
      auto trainer = Trainer::Create({.spec = spec,
                                      .directory = directory,
                                      .sources = {{"default", {.source = source}}},
                                      .stop = observer.stop},
                                     communicator, {&observer});
      ASSERT_TRUE(trainer.ok()) << trainer.status();
      const auto end = (*trainer)->Run();
      ASSERT_TRUE(end.ok()) << end.status();
      EXPECT_EQ(*end, expected);
    });
    return seen;
  }

  void ExpectRanksAgree(const v1::JobSpec& spec, const std::vector<int>& worlds) {
    const auto one = Train(spec, "ranks1", 1, TrainingEnd::kDone).steps;
    ASSERT_EQ(one.size(), kSteps);
    for (const int world : worlds) {
      const auto several =
          Train(spec, absl::StrCat("ranks", world), world, TrainingEnd::kDone).steps;
      ASSERT_EQ(several.size(), kSteps);
      for (int i = 0; i < kSteps; ++i) {
        for (const auto& [name, value] : one[i]) {
          EXPECT_NEAR(several[i].at(name), value, 1e-9 * std::max(1.0, std::abs(value)))
              << world << " ranks, step " << i << ", " << name;
        }
      }
    }
  }

  std::string LastCheckpoint(const std::string& folder) const {
    return absl::StrFormat("%s/%s/0/checkpoints/step-%08d-gen-0000", root_, folder, kSteps);
  }
  std::string Bytes(const std::string& path) const { return ReadFile(path, 1 << 28).value(); }

  std::string root_;
};

TEST_F(ClassificationTest, TwoRanksGoOnToTheSameBits) {
  const v1::JobSpec spec = Job("{frskd_classifier: {features: fitnet}}", "fp32", "cutmix");
  const auto whole = Train(spec, "whole", 2, TrainingEnd::kDone);
  const auto first = Train(spec, "halves", 2, TrainingEnd::kStopped, kStopAfter);
  const auto second = Train(spec, "halves", 2, TrainingEnd::kDone);
  ASSERT_EQ(first.steps.size(), kStopAfter + 1);  // the stop is agreed on in the step after
  auto halves = first.steps;
  halves.insert(halves.end(), second.steps.begin(), second.steps.end());
  EXPECT_EQ(halves, whole.steps);
  for (const char* file : {"/state.safetensors", "/student.safetensors"}) {
    EXPECT_TRUE(Bytes(LastCheckpoint("halves") + file) == Bytes(LastCheckpoint("whole") + file))
        << file;
  }
  // Accuracies of both evaluations, of all ten test images.
  ASSERT_EQ(whole.evaluations.size(), 2u);
  for (const EvaluationReport& report : whole.evaluations) {
    ASSERT_TRUE(report.top1.has_value() && report.top5.has_value());
    EXPECT_GE(*report.top5, *report.top1);
    EXPECT_NEAR(std::fmod(*report.top5, 10), 0, 1e-9);
  }
}

TEST_F(ClassificationTest, OneTwoAndThreeRanksAgreeInDouble) {
  ExpectRanksAgree(Job("{frskd_classifier: {}}", "fp64", "mixup"), {2, 3});
}

TEST_F(ClassificationTest, RanksAgreeWithRotationsToo) {
  ExpectRanksAgree(Job("{frskd_classifier: {sla: true}}", "fp64"), {2});
}

TEST_F(ClassificationTest, TheSelfTeacherIsKeptInCheckpointsAndLeftBehindOnExport) {
  Train(Job("{frskd_classifier: {features: overhaul, sla: true}}", "fp32"), "run", 1,
        TrainingEnd::kDone);
  const auto state = SafetensorsFile::Open(LastCheckpoint("run") + "/state.safetensors");
  ASSERT_TRUE(state.ok()) << state.status();
  const NamedTensors kept = state->LoadAll().value();
  const std::string name = "frskd_classifier.self_teacher.";
  EXPECT_EQ(kept.count("losses/" + name + "fc.weight"), 1u);
  EXPECT_EQ(kept.count("losses/" + name + "layers.0.up_weight.0"), 1u);
  EXPECT_EQ(kept.count("losses/frskd_classifier.joint.weight"), 1u);
  EXPECT_EQ(kept.count("momentum/losses." + name + "fc.weight"), 1u);
  const auto exported = LoadModelCheckpoint(root_ + "/run/0/student.safetensors");
  ASSERT_TRUE(exported.ok()) << exported.status();
  EXPECT_EQ(exported->info.options.architecture, "wrn16x2");
  EXPECT_EQ(exported->info.preprocessing.mean[0], 0.4914);
  EXPECT_EQ(exported->info.classes.size(), 10u);
  const auto file = SafetensorsFile::Open(root_ + "/run/0/student.safetensors");
  for (const std::string& tensor : file->names()) {
    EXPECT_FALSE(absl::StrContains(tensor, "self_teacher")) << tensor;
  }
}

// Logits and maps of a classifier pass through codec, cache and batch as any others.
TEST_F(ClassificationTest, AClassifierTeachesAnother) {
  Train(Job("{}", "fp32"), "teacher", 1, TrainingEnd::kDone);
  v1::JobSpec spec = Job("{kd: {temperature: 4}, at: {tap: c3, weight: 10}}", "fp32", "none",
                         absl::StrCat("teacher: {checkpoint: ", root_,
                                      "/teacher/0/student.safetensors, expect_miou: 0}"));
  spec.mutable_targets()->set_views("replay: 2");
  const auto path = OpenTargetPath(spec, {.cache_directory = root_ + "/cache"}, nullptr, nullptr);
  ASSERT_TRUE(path.ok()) << path.status();
  const auto cold =
      Train(spec, "cold", 1, TrainingEnd::kDone, 0, (*path)->sources().at("default").source);
  const auto warm =
      Train(spec, "warm", 1, TrainingEnd::kDone, 0, (*path)->sources().at("default").source);
  EXPECT_EQ(cold.targets, 2 * 5 * kSteps);
  EXPECT_THAT(cold.steps[0], ElementsAre(Key("at"), Key("ce"), Key("kd")));
  EXPECT_GT(cold.steps[0].at("kd"), 0);
  EXPECT_EQ(warm.steps, cold.steps);
}

}  // namespace
}  // namespace reflux
