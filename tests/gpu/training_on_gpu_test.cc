// Training on the GPU: the terms of every loss as on the CPU, going on from a checkpoint of either,
// mixed precision, and a teacher on the GPU too.
#include <cmath>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/spec/job_file.h"
#include "job_plan/open_teacher.h"
#include "student_worker/collectives/communicator.h"
#include "student_worker/target_path.h"
#include "student_worker/trainer.h"
#include "tests/e2e/proof_scene.h"
#include "tests/gpu/on_gpu.h"

namespace reflux {
namespace {

constexpr int kSteps = 3;
constexpr char kEveryLoss[] =
    "{kd: {}, i2ckd: {tap: aspp}, icsd: {weight: 10}, afdcd: {tap: aspp, feature_weight: 0.0001, "
    "contrast_weight: 0.01}, cwd: {}, skd: {}, at: {}, fitnet: {weight: 0.001}, ifvd: {}, csd: {}, "
    "cirkd: {}, cirkd_memory: {}, frskd: {warmup: 0, width: 8, head_width: 16}}";

struct Recording : TrainingObserver {
  void OnStep(const StepReport& report) override {
    steps.push_back(report.losses);
    if (report.step == stop_after) stop->Cancel();
  }
  std::vector<std::map<std::string, double>> steps;
  int64_t stop_after = 0;
  const std::shared_ptr<Cancellation> stop = std::make_shared<Cancellation>();
};

class TrainingOnGpu : public OnGpu {
 protected:
  void SetUp() override {
    OnGpu::SetUp();
    if (IsSkipped()) return;
    root_ = testing::TempDir() + "reflux_training_on_gpu";
    std::filesystem::remove_all(root_);
    std::filesystem::create_directories(root_);
    WriteProofImages(root_ + "/images", 8);
    WriteProofTeacher(root_ + "/teacher.safetensors", "deeplabv3_resnet18");
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  v1::JobSpec Job(const std::string& losses, const std::string& precision,
                  const std::string& teacher_device, const std::string& device) const {
    v1::JobSpec spec =
        ParseJob({.text = ProofYaml({.root = root_, .losses = losses, .precision = precision})})
            .value();
    spec.mutable_data()->set_crop(0, 64), spec.mutable_data()->set_crop(1, 96);
    (*spec.mutable_teachers())["default"].set_device(teacher_device);
    spec.mutable_train()->set_device(device);
    spec.mutable_train()->clear_epochs();
    spec.mutable_train()->set_steps(kSteps);
    return spec;
  }

  Recording Train(const v1::JobSpec& spec, const std::string& name, int64_t stop_after = 0) {
    Recording observer;
    observer.stop_after = stop_after;
    const auto path = OpenTargetPath(spec, {.cache_directory = root_ + "/cache"}, nullptr, nullptr);
    EXPECT_TRUE(path.ok()) << path.status();
    if (!path.ok()) return observer;
    SingleProcessCommunicator alone;
    const auto trainer = Trainer::Create({.spec = spec,
                                          .directory = absl::StrCat(root_, "/", name),
                                          .sources = (*path)->sources(),
                                          .stop = observer.stop},
                                         alone, {&observer});
    EXPECT_TRUE(trainer.ok()) << trainer.status();
    if (!trainer.ok()) return observer;
    const auto end = (*trainer)->Run();
    EXPECT_TRUE(end.ok()) << end.status();
    return observer;
  }

  static void ExpectNear(const Recording& a, const Recording& b, double tolerance) {
    ASSERT_EQ(a.steps.size(), b.steps.size());
    for (size_t step = 0; step < a.steps.size(); ++step) {
      for (const auto& [term, value] : b.steps[step]) {
        EXPECT_NEAR(a.steps[step].at(term), value, tolerance * std::max(1.0, std::abs(value)))
            << term << " of step " << step;
      }
    }
  }

  std::string root_;
};

// The teacher on the CPU gives both the same targets.
TEST_F(TrainingOnGpu, EveryTermAsOnTheCpu) {
  const Recording here = Train(Job(kEveryLoss, "fp64", "cpu", "cpu"), "cpu");
  const Recording there = Train(Job(kEveryLoss, "fp64", "cpu", GpuTestDevice()), "gpu");
  EXPECT_EQ(here.steps.size(), kSteps);
  ExpectNear(there, here, 1e-6);
}

TEST_F(TrainingOnGpu, GoesOnFromACheckpoint) {
  const v1::JobSpec spec = Job(kEveryLoss, "fp64", "cpu", GpuTestDevice());
  const Recording whole = Train(spec, "whole");
  Recording halves = Train(spec, "halves", /*stop_after=*/1);
  const Recording rest = Train(spec, "halves");
  EXPECT_FALSE(rest.steps.empty());
  halves.steps.insert(halves.steps.end(), rest.steps.begin(), rest.steps.end());
  ExpectNear(halves, whole, 1e-8);
}

TEST_F(TrainingOnGpu, InEveryPrecisionWithItsTeacherBesideIt) {
  for (const char* precision : {"fp32", "bf16", "fp64"}) {
    SCOPED_TRACE(precision);
    const Recording run =
        Train(Job(kEveryLoss, precision, GpuTestDevice(), GpuTestDevice()), precision);
    EXPECT_EQ(run.steps.size(), kSteps);
    for (const auto& terms : run.steps) {
      for (const auto& [term, value] : terms) EXPECT_TRUE(std::isfinite(value)) << term;
    }
  }
}

}  // namespace
}  // namespace reflux
