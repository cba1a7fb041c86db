#include "common/base/utf8.h"

#include <cstdint>

namespace reflux {
namespace {

bool Within(uint8_t byte, uint8_t low, uint8_t high) { return low <= byte && byte <= high; }

// Bytes of the character that `text` begins with; 0: none. The table is RFC 3629's section 4.
size_t CharacterBytes(absl::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t first = byte(0);
  if (first < 0x80) return 1;
  const size_t length = Within(first, 0xc2, 0xdf)   ? 2
                        : Within(first, 0xe0, 0xef) ? 3
                        : Within(first, 0xf0, 0xf4) ? 4
                                                    : 0;
  if (length == 0 || text.size() < length) return 0;
  const uint8_t low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
  const uint8_t high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
  if (!Within(byte(1), low, high)) return 0;
  for (size_t i = 2; i < length; ++i) {
    if (!Within(byte(i), 0x80, 0xbf)) return 0;
  }
  return length;
}

}  // namespace

bool IsUtf8(absl::string_view text) {
  while (!text.empty()) {
    const size_t bytes = CharacterBytes(text);
    if (bytes == 0) return false;
    text.remove_prefix(bytes);
  }
  return true;
}

}  // namespace reflux
