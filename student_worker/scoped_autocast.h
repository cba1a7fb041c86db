// The mixed precision of a student's step, shared by training and benchmarks.
#pragma once

#include <ATen/autocast_mode.h>
#include <torch/types.h>

namespace reflux {

// bf16 autocast of the calling thread for the life of the object; the cache of cast weights ends
// with it, since the weights change between steps.
class ScopedAutocast {
 public:
  ScopedAutocast(bool enabled, c10::DeviceType device) : enabled_(enabled), device_(device) {
    if (!enabled_) return;
    at::autocast::set_autocast_dtype(device_, torch::kBFloat16);
    at::autocast::set_autocast_enabled(device_, true);
  }
  ~ScopedAutocast() {
    if (!enabled_) return;
    at::autocast::clear_cache();
    at::autocast::set_autocast_enabled(device_, false);
  }
  ScopedAutocast(const ScopedAutocast&) = delete;
  ScopedAutocast& operator=(const ScopedAutocast&) = delete;

 private:
  const bool enabled_;
  const c10::DeviceType device_;
};

}  // namespace reflux
