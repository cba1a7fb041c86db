#include "distill/teacher/teacher_numerics.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>

namespace reflux {

torch::ScalarType WeightType(const Numerics& numerics) {
  return numerics.compute == ComputeDType::kFp64 ? torch::kFloat64 : torch::kFloat32;
}

void BeginRunnerThread(const Numerics& numerics) {
  if (numerics.mode == NumericsMode::kExact) at::set_num_threads(numerics.threads);
}

ScopedTeacherNumerics::ScopedTeacherNumerics(const Numerics& numerics, const torch::Device& device)
    : device_(device.type()),
      threads_before_(at::get_num_threads()),
      autocast_before_(at::autocast::is_autocast_enabled(device.type())),
      autocast_type_before_(at::autocast::get_autocast_dtype(device.type())) {
  if (numerics.mode == NumericsMode::kExact) at::set_num_threads(numerics.threads);
  if (device_ == c10::DeviceType::CUDA) {
    at::globalContext().setAllowTF32CuBLAS(numerics.tf32);
    at::globalContext().setAllowTF32CuDNN(numerics.tf32);
  }
  at::autocast::set_autocast_enabled(device_, numerics.compute == ComputeDType::kBf16);
  at::autocast::set_autocast_dtype(device_, torch::kBFloat16);
}

ScopedTeacherNumerics::~ScopedTeacherNumerics() {
  at::autocast::set_autocast_dtype(device_, autocast_type_before_);
  at::autocast::set_autocast_enabled(device_, autocast_before_);
  at::set_num_threads(threads_before_);
}

}  // namespace reflux
