// Counter-based random numbers: a pure function of (seed, purpose, counters), so that no worker
// keeps random state and a resumed or re-sharded run draws the same numbers.
//
// Philox4x32-10 of Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3" (SC 2011).
// All functions are thread-safe and never fail.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "absl/strings/string_view.h"

namespace reflux {

// The 128-bit block for a 64-bit key and a 128-bit counter.
std::array<uint32_t, 4> Philox4x32(uint64_t key, uint64_t counter_low, uint64_t counter_high);

// A family of streams. `purpose` names what the numbers are for ("order", "view", "dropout:head.0")
// so that two uses never share numbers.
class CounterRandom {
 public:
  CounterRandom(uint64_t seed, absl::string_view purpose);

  // 64 random bits for the counter pair (a, b), e.g. (step, position in the global batch).
  uint64_t Bits(uint64_t a, uint64_t b = 0) const;
  // Uniform in [0, 1), 53 bits.
  double Uniform(uint64_t a, uint64_t b = 0) const;
  // Uniform in [0, n), n > 0, without modulo bias beyond 2^-32.
  uint64_t Below(uint64_t n, uint64_t a, uint64_t b = 0) const;
  // A permutation of 0..n-1 that depends on `a` alone (Fisher-Yates).
  std::vector<int64_t> Permutation(int64_t n, uint64_t a) const;
  // Philox key of this family, for vectorised generators (dropout masks).
  uint64_t key() const { return key_; }

 private:
  uint64_t key_;
};

}  // namespace reflux
