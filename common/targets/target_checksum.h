// The checksum of a target (EncodedTarget::checksum) over bytes that come piece by piece, so that a
// piece is still in the processor's cache when it is hashed. Thread-compatible.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/strings/string_view.h"

namespace reflux {

class RunningChecksum {
 public:
  RunningChecksum();
  RunningChecksum(RunningChecksum&&) noexcept;
  RunningChecksum& operator=(RunningChecksum&&) noexcept;
  ~RunningChecksum();

  void Add(absl::string_view piece);
  // Of all pieces so far: TargetChecksum of them together.
  uint64_t value() const;

  // A good size of a piece: it fits into the second level of any cache, and a call for each costs
  // nothing beside reading it.
  static constexpr size_t kPieceBytes = size_t{128} << 10;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace reflux
