// The student of reflux-bench-step: the step of student_worker/trainer.cc in one process.
#pragma once

#include <torch/types.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/targets/target.h"
#include "distill/losses/loss_set.h"
#include "distill/models/segmentation_model.h"
#include "distill/optim/sgd.h"
#include "reflux/v1/config.pb.h"
#include "student_worker/batch_maker.h"

namespace reflux {

// One thread. Throws c10::Error as LibTorch does.
class StepStudent {
 public:
  // With the job's losses, and without those that read a teacher.
  static absl::StatusOr<std::unique_ptr<StepStudent>> Create(const v1::JobSpec& spec,
                                                             int64_t classes, int ignore_index,
                                                             const TeacherInfo& teacher);
  // Forward, losses, backward, update. A batch without targets is trained on labels alone.
  // Internal when the loss is not finite.
  absl::Status Step(const Batch& batch);

  const LossSet& distillation() const { return *distillation_; }
  const torch::Device& device() const { return device_; }

 private:
  StepStudent() = default;
  LossInputs Forward(const Batch& batch, const std::vector<std::string>& taps);

  std::shared_ptr<SegmentationModel> model_;
  std::shared_ptr<LossSet> distillation_, task_;
  std::unique_ptr<Sgd> optimizer_;
  SingleProcessCollectives collectives_;
  torch::Device device_ = torch::kCPU;
  bool autocast_ = false, channels_last_ = true;
  int64_t ignore_index_ = 255;
  uint64_t seed_ = 0;
  int64_t total_steps_ = 1;
};

}  // namespace reflux
