// Which jobs cost the same a step and have targets of the same size, so that one measurement serves
// them all. Torch-free, no I/O, thread-safe.
#pragma once

#include "reflux/v1/config.pb.h"

namespace reflux {

// The job without what changes neither: name, seeds, length, the optimiser's numbers, evaluation
// and checkpoints, weights of losses (but for those that are 0) and the name of the cache.
v1::JobSpec StepCostSpec(const v1::JobSpec& spec);

bool SameStepCost(const v1::JobSpec& a, const v1::JobSpec& b);

}  // namespace reflux
