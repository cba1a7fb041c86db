// The module libreflux_nccl.so: see nccl_module.h.
#include <chrono>
#include <exception>
#include <string>
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>

// Nothing may be thrown across dlsym: the reason travels as text.
extern "C" __attribute__((visibility("default"))) c10d::Backend* reflux_make_nccl_backend(
    const c10::intrusive_ptr<c10d::Store>& store, int rank, int world_size, int64_t timeout_ms,
    std::string& error) {
  try {
    auto options = c10d::ProcessGroupNCCL::Options::create();
    options->timeout = std::chrono::milliseconds(timeout_ms);
    return c10::make_intrusive<c10d::ProcessGroupNCCL>(store, rank, world_size, options).release();
  } catch (const c10::Error& exception) {
    error = exception.what_without_backtrace();
  } catch (const std::exception& exception) {
    error = exception.what();
  }
  return nullptr;
}
