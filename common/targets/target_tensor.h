// A target as a plain tensor, the way safetensors files hold one. Thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "common/targets/target.h"

namespace reflux {

struct TargetTensor {
  EncodedTarget elements;             // owns the bytes: uncompressed, without scales
  std::string dtype;                  // "F32", "F16" or "BF16"
  std::array<int32_t, 3> shape = {};  // [C,h,w], row-major
  std::map<std::string, std::string> metadata;

  absl::string_view bytes() const { return elements.bytes; }  // little-endian
};

// fp32, fp16 and bf16 targets keep their elements as they are, without a copy; int8 and topk become
// F32. The errors of DecodeValue.
absl::StatusOr<TargetTensor> ToTensor(const EncodedTarget& target);

}  // namespace reflux
