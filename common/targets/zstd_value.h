// The +zstd codecs: one zstd frame (RFC 8878) over the bytes of a value. Lossless, thread-safe.
//
// Before compression the words of a value are taken apart: the first bytes of all words, then the
// second bytes, and so on. Mantissas are nearly random, signs and exponents are not; side by side
// they are what a compressor finds.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace reflux {

// `word` is 1, 2 or 4 bytes; bytes after the last whole word stay where they are.
absl::StatusOr<std::string> CompressValue(absl::string_view value, int64_t word);

// The value of exactly `size` bytes, which the caller has bounded: nothing larger is allocated.
// DataLoss when the frame is damaged, cut short or holds another number of bytes.
absl::StatusOr<std::string> DecompressValue(absl::string_view frame, int64_t size, int64_t word);

}  // namespace reflux
