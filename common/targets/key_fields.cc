#include "common/targets/key_fields.h"

#include <bit>

namespace reflux {

void AppendU8(std::string& out, uint8_t value) { out.push_back(static_cast<char>(value)); }

void AppendU32(std::string& out, uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) AppendU8(out, static_cast<uint8_t>(value >> shift));
}

void AppendF64(std::string& out, double value) {
  const uint64_t bits = std::bit_cast<uint64_t>(value == 0 ? 0.0 : value);
  AppendU32(out, static_cast<uint32_t>(bits >> 32));
  AppendU32(out, static_cast<uint32_t>(bits));
}

void AppendField(std::string& out, KeyTag tag, absl::string_view value) {
  AppendU8(out, static_cast<uint8_t>(tag));
  AppendU32(out, static_cast<uint32_t>(value.size()));
  out.append(value.data(), value.size());
}

}  // namespace reflux
