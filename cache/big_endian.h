// Integers in our own byte formats (docs/cache_format.md, docs/scale_out.md). Pure functions.
#pragma once

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace reflux {

inline void AppendBigEndian(std::string& out, uint64_t value, int bytes) {
  for (int i = bytes - 1; i >= 0; --i) out.push_back(static_cast<char>(value >> (8 * i)));
}

// The caller has checked that `bytes` holds `count`.
inline uint64_t TakeBigEndian(absl::string_view& bytes, int count) {
  uint64_t value = 0;
  for (int i = 0; i < count; ++i) value = value << 8 | static_cast<uint8_t>(bytes[i]);
  bytes.remove_prefix(count);
  return value;
}

}  // namespace reflux
