// Whether the announced form of a value can be, before or after its bytes are there. Torch-free;
// thread-safe.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "common/targets/target.h"

namespace reflux {

// Sides, codec, stored type and number of bytes of `target` fit each other and the bounds; its
// bytes and checksum are not looked at. DataLoss says what does not fit.
absl::Status CheckForm(const EncodedTarget& target, int64_t bytes);

}  // namespace reflux
