// From the job file to the student's network, optimiser and length of the run.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/targets/target.h"
#include "distill/losses/loss_set.h"
#include "distill/models/model_options.h"
#include "distill/optim/sgd.h"
#include "reflux/v1/config.pb.h"

namespace reflux {

absl::StatusOr<ModelOptions> PlanModel(const v1::JobSpec& spec, int64_t num_classes);

// Steps of the whole run over `samples` training images.
absl::StatusOr<int64_t> PlanSteps(const v1::TrainSpec& train, int64_t samples);

SgdOptions PlanSgd(const v1::TrainSpec& train, int64_t total_steps);

// What the student asks of the teacher (its name as in LossTerm::teacher) for every sample, in the
// job's codec; class sums in float32. InvalidArgument when the codec is topk and a loss reads
// another tap than the logits.
absl::StatusOr<std::vector<TargetSpec>> PlanTargetSpecs(const v1::TargetsSpec& targets,
                                                        const LossSet& losses,
                                                        const std::string& teacher);

}  // namespace reflux
