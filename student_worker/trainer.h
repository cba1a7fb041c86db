// The training run of one rank: the step that reads as the algorithm, evaluation, checkpoints.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/cancellation.h"
#include "common/base/ordered_prefetcher.h"
#include "common/targets/target.h"
#include "distill/checkpoint/model_checkpoint.h"
#include "distill/losses/loss_set.h"
#include "distill/optim/sgd.h"
#include "reflux/v1/config.pb.h"
#include "student_worker/batch_maker.h"
#include "student_worker/collectives/communicator.h"
#include "student_worker/teacher_access.h"
#include "student_worker/training_checkpoint.h"
#include "student_worker/training_observer.h"

namespace reflux {

struct TrainerOptions {
  v1::JobSpec spec;       // resolved
  std::string directory;  // checkpoints/, student.safetensors, manifest cache
  int generation = 0;
  // How each teacher that the losses use is reached, by its name in the job (UsedTeachers). All
  // must outlive the trainer.
  std::map<std::string, TeacherAccess> sources;
  // Stops after the running step or within an evaluation, resumable. May be null.
  std::shared_ptr<Cancellation> stop;
};

enum class TrainingEnd { kDone, kStopped };

// One thread. Collectives throw when a rank is lost; Run converts that to Unavailable.
class Trainer {
 public:
  // `communicator` and `observers` must outlive the trainer. Resumes from the newest valid
  // checkpoint. Errors: those of the plan (job_plan/), the data set and the checkpoint;
  // FailedPrecondition when the folder holds the checkpoints of another job; Cancelled, on every
  // rank, when any was asked to stop.
  static absl::StatusOr<std::unique_ptr<Trainer>> Create(const TrainerOptions& options,
                                                         Communicator& communicator,
                                                         std::vector<TrainingObserver*> observers);
  ~Trainer();

  // Trains to the end, or to the step or evaluation at which any rank was asked to stop; rank 0
  // then has written a checkpoint. At the end rank 0 writes <directory>/student.safetensors.
  absl::StatusOr<TrainingEnd> Run();

  SegmentationModel& student();

 private:
  struct State;
  explicit Trainer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace reflux
