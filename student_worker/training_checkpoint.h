// A training run on disk, bit for bit.
//
//   FOLDER/step-<8 digits>-gen-<4 digits>/
//     student.safetensors   the network (distill/checkpoint/model_checkpoint.h)
//     state.safetensors     "momentum/<parameter>", "losses/<parameter or buffer>"; metadata: step,
//                           job digest
//     MANIFEST              "<sha256> <file>" for each of the two
//
// A checkpoint is written beside its place and renamed into it: it is there whole or not at all.
// One process writes at a time; reading is thread-safe.
#pragma once

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "distill/checkpoint/model_checkpoint.h"

namespace reflux {

struct TrainingState {
  int64_t step = 0;                                 // steps done
  std::string job_digest;                           // of what determines the run's numbers
  std::map<std::string, torch::Tensor> momentum;    // by parameter name
  std::map<std::string, torch::Tensor> loss_state;  // parameters and buffers, as in the LossSet
};

// Writes step-<state.step>-gen-<generation> and deletes all but the newest `keep`. Returns its
// path.
absl::StatusOr<std::string> SaveTrainingCheckpoint(const std::string& folder, int generation,
                                                   int keep, const SegmentationModel& student,
                                                   const CheckpointInfo& info,
                                                   const TrainingState& state);

// Path of the checkpoint with the most steps whose files match its manifest (then the highest
// generation), or "" when there is none. Broken ones are passed over, with a line in the log.
std::string NewestValidCheckpoint(const std::string& folder);

// Loads weights into `student` and returns the rest. DataLoss when a file does not match the
// manifest.
absl::StatusOr<TrainingState> LoadTrainingCheckpoint(const std::string& path,
                                                     SegmentationModel& student);

}  // namespace reflux
