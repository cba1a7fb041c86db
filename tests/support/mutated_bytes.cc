#include "tests/support/mutated_bytes.h"

#include <algorithm>

namespace reflux {

std::string Mutated(std::string bytes, std::mt19937& random) {
  const int changes = 1 + random() % 4;
  for (int i = 0; i < changes && !bytes.empty(); ++i) {
    const size_t at = random() % bytes.size();
    const size_t length = 1 + random() % std::min<size_t>(16, bytes.size() - at);
    switch (random() % 5) {
      case 0:
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << random() % 8));
        break;
      case 1:
        bytes[at] = static_cast<char>(random() % 2 == 0 ? 0xff : 0x00);
        break;
      case 2:
        bytes[at] = static_cast<char>(random());
        break;
      case 3:
        bytes.insert(at, bytes.substr(at, length));
        break;
      default:
        bytes.erase(at, length);
    }
  }
  return bytes;
}

}  // namespace reflux
