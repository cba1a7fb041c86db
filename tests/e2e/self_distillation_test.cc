// FRSKD as a job, without teacher and cache: on two ranks it goes on after a stop to the same bits,
// in double it is the same on one rank and on two, and the self-teacher stays behind on export.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/file.h"
#include "common/spec/job_file.h"
#include "distill/checkpoint/model_checkpoint.h"
#include "distill/tensors/safetensors.h"
#include "student_worker/trainer.h"
#include "tests/e2e/proof_scene.h"
#include "tests/unit/student_worker/collectives/ranks.h"

namespace reflux {
namespace {

constexpr int kSteps = 6, kStopAfter = 3;

// Keeps the terms of each step and stops the run after one of them.
struct StoppingObserver : TrainingObserver {
  explicit StoppingObserver(int64_t stop_after) : after(stop_after) {}
  void OnStep(const StepReport& report) override {
    terms.push_back(report.losses.at("frskd"));
    if (report.step == after) stop->Cancel();
  }
  const int64_t after;
  const std::shared_ptr<Cancellation> stop = std::make_shared<Cancellation>();
  std::vector<double> terms;
};

class SelfDistillationTest : public testing::Test {
 protected:
  void SetUp() override {
    root_ = testing::TempDir() + "reflux_self_distillation_" +
            testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(root_);
    WriteProofImages(root_ + "/images", 8);
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  // The distillation terms set in at half of the run.
  v1::JobSpec Job(const std::string& precision, const std::string& features) const {
    return ParseJob({.text = absl::StrFormat(R"(
name: frskd
data: {format: camvid, root: %s/images, crop: [64, 96], scale: [0.8, 1.5], eval_size: [64, 96]}
student: {model: deeplabv3_resnet18}
losses: {frskd: {beta: 5, warmup: 0.5, features: %s, width: 8, head_width: 16}}
targets: {views: live}
train: {global_batch: 5, steps: %d, precision: %s, seed: 5, threads: 1, learning_rate: 0.01}
)",
                                             root_, features, kSteps, precision)})
        .value();
  }

  // Trains on `ranks`; the terms of rank 0. It alone writes checkpoints, in the rank's folder.
  std::vector<double> Train(const v1::JobSpec& spec, const std::string& folder, int ranks,
                            TrainingEnd expected, int64_t stop_after = 0) {
    std::vector<double> terms;
    RunRanks(ranks, [&](Communicator& communicator) {
      StoppingObserver observer(communicator.rank() == 0 ? stop_after : 0);
      const std::string directory = absl::StrCat(root_, "/", folder, "/", communicator.rank());
      auto trainer = Trainer::Create({.spec = spec, .directory = directory, .stop = observer.stop},
                                     communicator, {&observer});
      ASSERT_TRUE(trainer.ok()) << trainer.status();
      const auto end = (*trainer)->Run();
      ASSERT_TRUE(end.ok()) << end.status();
      EXPECT_EQ(*end, expected);
      if (communicator.rank() == 0) terms = observer.terms;
    });
    return terms;
  }

  std::string LastCheckpoint(const std::string& folder) const {
    return absl::StrFormat("%s/%s/0/checkpoints/step-%08d-gen-0000", root_, folder, kSteps);
  }
  std::string Bytes(const std::string& path) const { return ReadFile(path, 1 << 28).value(); }

  std::string root_;
};

TEST_F(SelfDistillationTest, TwoRanksGoOnToTheSameBits) {
  const v1::JobSpec spec = Job("fp32", "fitnet");
  const std::vector<double> whole = Train(spec, "whole", 2, TrainingEnd::kDone);
  const std::vector<double> first = Train(spec, "halves", 2, TrainingEnd::kStopped, kStopAfter);
  const std::vector<double> second = Train(spec, "halves", 2, TrainingEnd::kDone);
  ASSERT_EQ(whole.size(), kSteps);
  ASSERT_EQ(first.size(), kStopAfter + 1);  // the stop is agreed on in the step after
  std::vector<double> halves = first;
  halves.insert(halves.end(), second.begin(), second.end());
  EXPECT_EQ(halves, whole);
  for (const char* file : {"/state.safetensors", "/student.safetensors"}) {
    EXPECT_TRUE(Bytes(LastCheckpoint("halves") + file) == Bytes(LastCheckpoint("whole") + file))
        << file;
  }
}

TEST_F(SelfDistillationTest, TheSelfTeacherIsKeptInCheckpointsAndLeftBehindOnExport) {
  Train(Job("fp32", "at"), "run", 1, TrainingEnd::kDone);
  const auto state = SafetensorsFile::Open(LastCheckpoint("run") + "/state.safetensors");
  ASSERT_TRUE(state.ok()) << state.status();
  const NamedTensors kept = state->LoadAll().value();
  const std::string norm = "frskd.self_teacher.classifier.1.";
  EXPECT_EQ(kept.count("losses/" + norm + "weight"), 1u);
  EXPECT_EQ(kept.count("losses/" + norm + "running_mean"), 1u);
  EXPECT_EQ(kept.count("momentum/losses." + norm + "weight"), 1u);
  EXPECT_EQ(kept.at("losses/" + norm + "num_batches_tracked").item<int64_t>(), kSteps);
  const auto exported = LoadModelCheckpoint(root_ + "/run/0/student.safetensors");
  ASSERT_TRUE(exported.ok()) << exported.status();
  const auto file = SafetensorsFile::Open(root_ + "/run/0/student.safetensors");
  ASSERT_TRUE(file.ok()) << file.status();
  for (const std::string& name : file->names()) {
    EXPECT_FALSE(absl::StrContains(name, "self_teacher")) << name;
  }
}

// FRSKD's own segmentation network, whose pyramid the self-teacher refines level by level.
TEST_F(SelfDistillationTest, EfficientDetTrainsWithItsSelfTeacher) {
  v1::JobSpec spec = Job("fp32", "at");
  spec.mutable_student()->set_model("efficientdet_b0_seg");
  v1::FrskdSpec* const frskd = spec.mutable_losses()->mutable_frskd();
  frskd->set_width(64);
  frskd->clear_taps();
  for (const char* tap : {"p2", "p3", "p4", "p5", "p6", "p7"}) frskd->add_taps(tap);
  const std::vector<double> terms = Train(spec, "efficientdet", 1, TrainingEnd::kDone);
  ASSERT_EQ(terms.size(), kSteps);
  for (const double term : terms) EXPECT_TRUE(std::isfinite(term));
  // Every step moves the weights; so few of them lower no loss yet.
  const std::set<double> different(terms.begin(), terms.end());
  EXPECT_EQ(different.size(), terms.size());
}

TEST_F(SelfDistillationTest, OneAndTwoRanksAgreeInDouble) {
  const v1::JobSpec spec = Job("fp64", "at");
  const std::vector<double> one = Train(spec, "one", 1, TrainingEnd::kDone);
  const std::vector<double> two = Train(spec, "two", 2, TrainingEnd::kDone);
  ASSERT_EQ(one.size(), kSteps);
  ASSERT_EQ(two.size(), kSteps);
  for (int i = 0; i < kSteps; ++i) EXPECT_NEAR(two[i], one[i], 1e-9 * one[i]);
}

}  // namespace
}  // namespace reflux
