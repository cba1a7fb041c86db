#include "planner/timed_steps.h"

#include <algorithm>
#include <filesystem>
#include <limits>

#include "absl/time/clock.h"
#include "common/base/status_macros.h"
#include "student_worker/collectives/communicator.h"
#include "student_worker/trainer.h"

namespace reflux {
namespace {

namespace fs = std::filesystem;

// Steps before the timed ones: by then the batches read ahead are as many as they will be.
constexpr int kUntimed = 3;
constexpr int kPrefetchDepth = 2;

// Stops a run after the timed steps.
class StepClock : public TrainingObserver {
 public:
  StepClock(int64_t timed, Cancellation& stop) : timed_(timed), stop_(stop) {}

  void OnStep(const StepReport& report) override {
    if (report.step == kUntimed) begin_ = absl::Now();
    if (report.step == kUntimed + timed_) {
      seconds_ = absl::ToDoubleSeconds(absl::Now() - begin_) / static_cast<double>(timed_);
      stop_.Cancel();
    }
  }
  double seconds() const { return seconds_; }

 private:
  const int64_t timed_;
  Cancellation& stop_;
  absl::Time begin_;
  double seconds_ = 0;
};

void MakeRunFolder(const TimedRun& run) {
  std::error_code error;  // the trainer says it better
  fs::remove_all(run.folder, error);
  fs::create_directories(run.folder, error);
  fs::create_directory_symlink(run.manifest_folder, run.folder + "/manifests", error);
}

}  // namespace

v1::JobSpec TimedSpec(const v1::JobSpec& spec, int64_t timed_steps) {
  v1::JobSpec timed = spec;
  v1::TrainSpec& train = *timed.mutable_train();
  const int students = std::max(1, spec.run().students());
  train.set_global_batch((train.global_batch() + students - 1) / students);
  train.set_prefetch_depth(std::min(train.prefetch_depth(), kPrefetchDepth));
  // Beyond the timed steps: those read ahead, and some that no step takes, for the teacher alone.
  int teacher_batch = 1;
  for (const auto& [name, teacher] : spec.teachers()) {
    teacher_batch = std::max(teacher_batch, teacher.batch());
  }
  const int alone = (4 * teacher_batch + train.global_batch() - 1) / train.global_batch();
  train.set_steps(kUntimed + static_cast<int>(timed_steps) + 1 + train.prefetch_depth() +
                  train.loader_threads() + alone);
  train.clear_epochs();
  train.set_eval_every(0);
  train.set_checkpoint_every(std::numeric_limits<int>::max());
  timed.mutable_data()->set_max_val_images(1);
  timed.mutable_targets()->set_whole_tolerance(100);
  return timed;
}

absl::StatusOr<double> TimeSteps(const TimedRun& run) {
  MakeRunFolder(run);
  const auto stop = std::make_shared<Cancellation>();
  Cancellation::Registration on_stop;
  if (run.stop != nullptr) on_stop = run.stop->OnCancel([stop] { stop->Cancel(); });
  StepClock clock(run.timed_steps, *stop);
  SingleProcessCommunicator communicator;
  REFLUX_ASSIGN_OR_RETURN(
      const std::unique_ptr<Trainer> trainer,
      Trainer::Create(
          {.spec = run.spec, .directory = run.folder, .sources = run.sources, .stop = stop},
          communicator, {&clock}));
  REFLUX_RETURN_IF_ERROR(trainer->Run().status());
  if (run.stop != nullptr && run.stop->cancelled()) {
    return absl::CancelledError("stopped before everything was measured");
  }
  return clock.seconds();
}

}  // namespace reflux
