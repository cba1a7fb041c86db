// World-size independence through the whole trainer: in double, the same job on 1, 2 and 3 ranks
// with uneven shares has the same loss terms and ends at the same weights up to rounding.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cache/caching_source.h"
#include "cache/memory_target_store.h"
#include "common/spec/job_file.h"
#include "distill/data/dataset.h"
#include "distill/teacher/local_source.h"
#include "distill/tensors/safetensors.h"
#include "job_plan/teacher_plan.h"
#include "student_worker/trainer.h"
#include "tests/e2e/proof_scene.h"
#include "tests/unit/student_worker/collectives/ranks.h"

namespace reflux {
namespace {

constexpr int kSteps = 20;
constexpr int kBatch = 5;  // shares of 5, of 3 and 2, of 2, 2 and 1
constexpr double kTermTolerance = 1e-10, kWeightTolerance = 1e-9;

struct RecordingObserver : TrainingObserver {
  void OnStep(const StepReport& report) override { steps.push_back(report.losses); }
  std::vector<std::map<std::string, double>> steps;
};

struct Outcome {
  std::vector<std::map<std::string, double>> steps;
  std::map<std::string, torch::Tensor> weights;  // parameters and statistics of rank 0
};

class WorldSizeTest : public testing::Test {
 protected:
  void SetUp() override {
    root_ = testing::TempDir() + "reflux_world_size";
    std::filesystem::remove_all(root_);
    std::filesystem::create_directories(root_);
    WriteProofImages(root_ + "/images", 8);
    WriteProofTeacher(root_ + "/teacher.safetensors", "deeplabv3_resnet18");
    spec_ = Spec("{kd: {}, i2ckd: {tap: aspp}, icsd: {weight: 10}}", kSteps);
    source_ = MakeLocalSource(
        LoadTeacher(spec_.teachers().at("default"), spec_.data()).value(),
        [this](const Locator& locator) { return ReadImageFile(root_ + "/images", locator); }, {});
    store_ = std::make_unique<MemoryTargetStore>();
    cached_ = MakeCachingSource(*store_, *source_);
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  v1::JobSpec Spec(const std::string& losses, int steps) const {
    v1::JobSpec spec =
        ParseJob({.text = ProofYaml({.root = root_, .losses = losses, .precision = "fp64"})})
            .value();
    spec.mutable_data()->set_crop(0, 64);
    spec.mutable_data()->set_crop(1, 96);
    spec.mutable_train()->set_global_batch(kBatch);
    spec.mutable_train()->clear_epochs();
    spec.mutable_train()->set_steps(steps);
    spec.mutable_train()->set_checkpoint_every(0);
    return spec;
  }

  std::string RankFolder(int world_size, int rank) const {
    return absl::StrCat(root_, "/ranks", world_size, "/", rank);
  }

  void TrainRank(Communicator& communicator, Outcome& outcome) {
    RecordingObserver observer;
    const std::string directory = RankFolder(communicator.world_size(), communicator.rank());
    auto trainer = Trainer::Create({.spec = spec_,
                                    .directory = directory,
                                    .sources = {{"default", {.source = cached_.get()}}}},
                                   communicator, {&observer});
    ASSERT_TRUE(trainer.ok()) << trainer.status();
    const auto end = (*trainer)->Run();
    ASSERT_TRUE(end.ok()) << end.status();
    if (communicator.rank() != 0) return;
    outcome.steps = observer.steps;
    for (const auto& item : (*trainer)->student().named_parameters())
      outcome.weights[item.key()] = item.value().detach().clone();
    for (const auto& item : (*trainer)->student().named_buffers())
      outcome.weights[item.key()] = item.value().detach().clone();
  }

  Outcome Train(int world_size) {
    Outcome outcome;
    RunRanks(world_size, [&](Communicator& communicator) { TrainRank(communicator, outcome); });
    return outcome;
  }

  std::string root_;
  v1::JobSpec spec_;
  std::unique_ptr<TargetSource> source_;
  std::unique_ptr<MemoryTargetStore> store_;
  std::unique_ptr<TargetSource> cached_;
};

// The largest difference of a term over all steps, relative to the term or to 1.
double TermDifference(const Outcome& a, const Outcome& b) {
  double largest = 0;
  for (size_t step = 0; step < a.steps.size(); ++step) {
    for (const auto& [name, value] : a.steps[step]) {
      const double difference = std::abs(value - b.steps[step].at(name));
      largest = std::max(largest, difference / std::max(1.0, std::abs(value)));
    }
  }
  return largest;
}

// The largest relative difference of a tensor, in the norm of the tensor.
double WeightDifference(const Outcome& a, const Outcome& b) {
  double largest = 0;
  for (const auto& [name, value] : a.weights) {
    const torch::Tensor x = value.to(torch::kFloat64), y = b.weights.at(name).to(torch::kFloat64);
    const double norm = std::max(1e-12, x.norm().item<double>());
    largest = std::max(largest, (x - y).norm().item<double>() / norm);
  }
  return largest;
}

TEST_F(WorldSizeTest, OneTwoAndThreeRanksAgreeInDouble) {
  const Outcome one = Train(1);
  ASSERT_EQ(one.steps.size(), kSteps);
  EXPECT_GT(TermDifference(one, {.steps = {one.steps.rbegin(), one.steps.rend()}}), kTermTolerance)
      << "the steps do not differ from each other: nothing is compared";
  for (const int world_size : {2, 3}) {
    const Outcome several = Train(world_size);
    ASSERT_EQ(several.steps.size(), kSteps);
    const double terms = TermDifference(one, several), weights = WeightDifference(one, several);
    std::printf("%d ranks: terms within %.1e, weights within %.1e of one rank's\n", world_size,
                terms, weights);
    EXPECT_LT(terms, kTermTolerance);
    EXPECT_LT(weights, kWeightTolerance);
  }
}

// The job of docs/add_a_loss.md, with a student narrower than its teacher: the loss has a
// convolution of its own, which trains.
TEST_F(WorldSizeTest, ALossOfOnesOwnTrainsAlikeOnOneAndThreeRanks) {
  constexpr int kOwnSteps = 2;
  spec_ =
      Spec("{own: {feature_cosine: {weight: 3, tap: aspp, schedule: cosine, options: {power: 2}}}}",
           kOwnSteps);
  spec_.mutable_student()->set_aspp_width(16);
  const Outcome one = Train(1), three = Train(3);
  ASSERT_EQ(one.steps.size(), kOwnSteps);
  for (const auto& terms : one.steps) EXPECT_GT(terms.at("own_feature_cosine"), 0);
  EXPECT_LT(TermDifference(one, three), kTermTolerance);
  EXPECT_LT(WeightDifference(one, three), kWeightTolerance);

  const std::string state = absl::StrFormat("%s/checkpoints/step-%08d-gen-0000/state.safetensors",
                                            RankFolder(1, 0), kOwnSteps);
  const auto file = SafetensorsFile::Open(state);
  ASSERT_TRUE(file.ok()) << file.status();
  const auto momentum = file->Load("momentum/losses.own_feature_cosine.conv.weight");
  ASSERT_TRUE(momentum.ok()) << momentum.status();
  EXPECT_GT(momentum->norm().item<double>(), 0);
}

}  // namespace
}  // namespace reflux
