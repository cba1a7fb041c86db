// The GradientReducer over c10d::Reducer.
#pragma once

#include <memory>
#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>
#include <vector>

#include "student_worker/collectives/gradient_reducer.h"

namespace reflux {

// `group` is used by the reducer alone. Throws when `parameters` (at least one, all of which
// require a gradient) differ from those of rank 0. A collective call.
std::unique_ptr<GradientReducer> MakeC10dGradientReducer(
    std::vector<torch::Tensor> parameters, c10::intrusive_ptr<c10d::ProcessGroup> group,
    const GradientReducerOptions& options);

}  // namespace reflux
