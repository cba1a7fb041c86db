// The one function that sets the arithmetic of a teacher's forward (design 6).
#pragma once

#include <torch/types.h>

#include "common/targets/target.h"

namespace reflux {

// While it lives, the calling thread computes with `numerics`: intra-op threads (exact mode only),
// autocast for bf16, no gradients, TF32 as stated. The thread's settings are restored afterwards.
class ScopedTeacherNumerics {
 public:
  ScopedTeacherNumerics(const Numerics& numerics, const torch::Device& device);
  ~ScopedTeacherNumerics();
  ScopedTeacherNumerics(const ScopedTeacherNumerics&) = delete;
  ScopedTeacherNumerics& operator=(const ScopedTeacherNumerics&) = delete;

 private:
  c10::InferenceMode no_gradients_;
  const c10::DeviceType device_;
  const int threads_before_;
  const bool autocast_before_;
  const at::ScalarType autocast_type_before_;
};

// For a thread that will run a teacher and nothing else: in exact mode it takes the numerics'
// intra-op threads for good. Several runners of one process need it: LibTorch has settings that all
// threads share, and a runner that put back others would change them under the forwards of the
// rest.
void BeginRunnerThread(const Numerics& numerics);

// float64 for fp64, float32 otherwise: what the teacher's weights and inputs are held in.
torch::ScalarType WeightType(const Numerics& numerics);

}  // namespace reflux
