// A stop that one rank alone is asked for, within an evaluation or before the first step: every
// rank stops, and the job goes on later to the same weights and the same evaluations.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "common/base/file.h"
#include "common/spec/job_file.h"
#include "student_worker/trainer.h"
#include "tests/e2e/proof_scene.h"
#include "tests/unit/student_worker/collectives/ranks.h"

namespace reflux {
namespace {

using ::testing::ElementsAre;

constexpr int kRanks = 2, kSteps = 6, kEvalEvery = 2;

// Asks for the stop as a phase begins for the `nth` time.
struct StoppingObserver : TrainingObserver {
  StoppingObserver(std::string stop_phase, int stop_nth)
      : phase(std::move(stop_phase)), nth(stop_nth) {}
  void OnPhase(const std::string& begun) override {
    if (begun == phase && --nth == 0) stop->Cancel();
  }
  void OnEvaluation(const EvaluationReport& report) override { evaluated.push_back(report.step); }
  const std::string phase;
  int nth;
  const std::shared_ptr<Cancellation> stop = std::make_shared<Cancellation>();
  std::vector<int64_t> evaluated;  // the steps before the evaluations that came to their end
};

class StopTest : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::remove_all(root_);
    std::filesystem::create_directories(root_);
    WriteProofImages(root_ + "/images", 8);
    spec_ =
        ParseJob({.text = ProofYaml({.root = root_, .losses = "{}", .students = kRanks})}).value();
    spec_.mutable_data()->set_crop(0, 64);
    spec_.mutable_data()->set_crop(1, 96);
    spec_.mutable_train()->set_eval_every(kEvalEvery);
    spec_.mutable_train()->set_checkpoint_every(100);  // none but those of a stop and of the end
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  // The last rank is asked to stop as `phase` begins for the `nth` time. How every rank ended.
  std::vector<absl::StatusOr<TrainingEnd>> Train(const std::string& folder,
                                                 const std::string& phase = "", int nth = 1) {
    std::vector<absl::StatusOr<TrainingEnd>> ends(kRanks, absl::UnknownError(""));
    RunRanks(kRanks, [&](Communicator& communicator) {
      const int rank = communicator.rank();
      StoppingObserver observer(rank == kRanks - 1 ? phase : "none", nth);
      auto trainer = Trainer::Create({.spec = spec_,
                                      .directory = absl::StrCat(root_, "/", folder, "/", rank),
                                      .stop = observer.stop},
                                     communicator, {&observer});
      ends[rank] = trainer.ok() ? (*trainer)->Run() : trainer.status();
      if (rank == 0) evaluated_ = observer.evaluated;
    });
    return ends;
  }

  std::string Student(const std::string& folder) const {
    return ReadFile(absl::StrCat(root_, "/", folder, "/0/student.safetensors"), 1 << 28).value();
  }

  const std::string root_ = testing::TempDir() + "reflux_stop";
  v1::JobSpec spec_;
  std::vector<int64_t> evaluated_;  // by rank 0
};

TEST_F(StopTest, WithinAnEvaluationItIsResumedAndLosesNothing) {
  const auto done = ElementsAre(TrainingEnd::kDone, TrainingEnd::kDone);
  const auto stopped = ElementsAre(TrainingEnd::kStopped, TrainingEnd::kStopped);
  ASSERT_THAT(Train("whole"), done);
  ASSERT_THAT(evaluated_, ElementsAre(0, 2, 4, kSteps));
  ASSERT_THAT(Train("parts", "evaluating", 1), stopped);
  EXPECT_THAT(evaluated_, ElementsAre());
  ASSERT_THAT(Train("parts", "evaluating", 2), stopped);
  EXPECT_THAT(evaluated_, ElementsAre(0));
  ASSERT_THAT(Train("parts", "evaluating", 3), stopped);
  EXPECT_THAT(evaluated_, ElementsAre(2, 4)) << "the stopped evaluation is made up for";
  ASSERT_THAT(Train("parts"), done);
  EXPECT_THAT(evaluated_, ElementsAre(kSteps));
  EXPECT_TRUE(Student("parts") == Student("whole")) << "the weights differ";
}

TEST_F(StopTest, WhileImagesAreHashed) {
  for (const auto& end : Train("run", "hashing images")) {
    EXPECT_TRUE(absl::IsCancelled(end.status())) << end.status();
  }
}

}  // namespace
}  // namespace reflux
