// The cases of reflux-bench-losses whose losses have parameters or a memory: Af-DCD with its
// projector, CIRKD's memory, FRSKD with its self-teacher.
#pragma once

#include <vector>

#include "bench/loss_cases.h"

namespace reflux {

// `features` are the maps that CIRKD's memory compares.
std::vector<LossCase> MakeModuleCases(const LossBenchOptions& options, const NaiveInputs& features);

}  // namespace reflux
