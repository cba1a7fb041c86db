// Targets whose bytes lie in a file of this host, read from there into their place, piece by piece,
// each hashed while it is near. Thread-safe; blocks on I/O.
#pragma once

#include <algorithm>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/block_pool.h"
#include "common/targets/target.h"
#include "common/targets/target_checksum.h"

namespace reflux {

// `coming` with the bytes that `location` names, verified: where `place` says (no owner), or in a
// block of `blocks`. DataLoss: other bytes, or fewer. Any other error: no such file, or not for
// this process. What is at `location` is not trusted: it need not be a plain file.
absl::StatusOr<EncodedTarget> ReadLocated(const EncodedTarget& coming,
                                          const TargetLocation& location, const PlaceFn& place,
                                          BlockPool& blocks);

// The same, where `read(out, at, size)` brings the bytes of the value from `at` on, and returns an
// absl::Status.
template <typename ReadFn>
absl::StatusOr<EncodedTarget> ReadInPieces(EncodedTarget coming, uint64_t size,
                                           const PlaceFn& place, BlockPool& blocks, ReadFn read) {
  char* out = place == nullptr ? nullptr : place(coming, size);
  if (out == nullptr) {
    auto block = blocks.Take(size);
    out = block.get();
    coming.owner = std::move(block);
  }
  RunningChecksum checksum;
  for (uint64_t at = 0; at < size;) {
    const uint64_t piece = std::min<uint64_t>(RunningChecksum::kPieceBytes, size - at);
    if (absl::Status status = read(out + at, at, piece); !status.ok()) return status;
    checksum.Add({out + at, piece});
    at += piece;
  }
  coming.bytes = {out, size};
  if (absl::Status status = coming.VerifyAgainst(checksum.value()); !status.ok()) return status;
  return coming;
}

}  // namespace reflux
