#pragma once

#include "absl/strings/string_view.h"

namespace reflux {

// Whether `text` is UTF-8 as RFC 3629 has it: shortest forms only, no surrogates, at most U+10FFFF.
// Protocol Buffers' strings must be.
bool IsUtf8(absl::string_view text);

}  // namespace reflux
