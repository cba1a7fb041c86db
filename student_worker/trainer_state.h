// One rank's run, for the sources of Trainer alone: what it is built of (trainer_build.cc), and its
// steps, evaluations and checkpoints (trainer.cc).
#pragma once

#include <torch/types.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "distill/data/dataset.h"
#include "distill/models/segmentation_model.h"
#include "student_worker/collectives/distillation_adapters.h"
#include "student_worker/trainer.h"

namespace reflux {

struct Trainer::State {
  State(const TrainerOptions& trainer_options, Communicator& trainer_communicator)
      : options(trainer_options),
        spec(options.spec),
        communicator(trainer_communicator),
        collectives(trainer_communicator) {}

  const TrainerOptions options;
  const v1::JobSpec& spec;
  Communicator& communicator;
  CommunicatorLossCollectives collectives;
  std::vector<TrainingObserver*> observers;

  torch::Device device = torch::kCPU;
  torch::ScalarType dtype = torch::kFloat32;
  bool autocast = false;
  std::unique_ptr<Dataset> train, val;
  std::map<std::string, TeacherInfo> teachers;  // by name
  CheckpointInfo info;
  std::shared_ptr<SegmentationModel> student;
  std::shared_ptr<LossSet> losses;
  std::vector<std::string> taps;
  LearningRateSchedule schedule;
  std::unique_ptr<Sgd> optimizer;
  std::unique_ptr<GradientReducer> reducer;
  std::unique_ptr<BatchMaker> maker;
  std::string initial_weights;  // digest of what was read from files; empty: nothing
  std::string job_digest;
  int64_t total_steps = 0;
  int64_t step = 0;        // steps done
  int64_t saved_step = 0;  // of them, those that the newest checkpoint holds

  absl::Status OpenData();
  absl::Status FindTeachers();
  absl::Status LoadInitialWeights();
  absl::Status BuildKnownStudent();
  absl::Status LoadScriptedStudent();  // runs a program: distill/checkpoint/scripted_model.h
  absl::Status BuildStudent();
  absl::Status BuildLosses();
  absl::Status BuildOptimizer();
  // The losses' own parameters and buffers, by name.
  std::map<std::string, torch::Tensor> LossState() const;
  // The views that the run trains on, the same on every rank.
  absl::StatusOr<ViewPolicy> ResolveViews(const std::vector<TeacherTargets>& wanted);
  absl::Status HashSamples(bool labels, SampleIdentities& digests);
  absl::Status BuildMaker();
  absl::Status Resume();
  absl::Status Build();

  absl::StatusOr<TrainingEnd> Train();
  LossResult ForwardBackward(const Batch& batch);
  LossInputs Forward(const Batch& batch);
  // A collective, in place of going on with `status`: Cancelled on every rank when it is that on
  // any. Another error is returned at once; the other ranks learn of it when this one has ended.
  absl::Status AgreeToGoOn(const absl::Status& status);
  bool EvaluationDue() const;  // before the next step
  absl::Status Evaluate();
  absl::Status Checkpoint();
  absl::Status Finish();
  int64_t PrefetchDepth() const;
  bool StopRequested() const { return options.stop != nullptr && options.stop->cancelled(); }
  torch::Tensor ToDevice(const torch::Tensor& images) const;
  template <typename... Params, typename... Args>
  void Tell(void (TrainingObserver::*what)(Params...), const Args&... args) {
    for (TrainingObserver* observer : observers) (observer->*what)(args...);
  }
};

}  // namespace reflux
