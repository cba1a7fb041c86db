// The tagged, length-prefixed fields that identities are hashed over (docs/cache_format.md).
#pragma once

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace reflux {

// Tags; never renumber.
enum class KeyTag : uint8_t {
  kKind = 0,
  kVersion = 1,
  kTeacher = 2,
  kPreprocessing = 3,
  kNumerics = 4,
  kSample = 5,
  kView = 6,
  kTap = 7,
  kReduction = 8,
  kCodec = 9,
  kLabels = 10,
  kDataset = 11,
  kLabelBytes = 12,
  kLabelMap = 13,
};

void AppendU8(std::string& out, uint8_t value);
void AppendU32(std::string& out, uint32_t value);  // big-endian
// IEEE 754 bits, big-endian; minus zero equals zero, so both are written as zero.
void AppendF64(std::string& out, double value);
// u8 tag, u32 length, the value.
void AppendField(std::string& out, KeyTag tag, absl::string_view value);

}  // namespace reflux
