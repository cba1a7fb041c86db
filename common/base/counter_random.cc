#include "common/base/counter_random.h"

#include <cstring>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/digest.h"

namespace reflux {
namespace {

constexpr uint32_t kMultiplier0 = 0xD2511F53, kMultiplier1 = 0xCD9E8D57;
constexpr uint32_t kWeyl0 = 0x9E3779B9, kWeyl1 = 0xBB67AE85;

}  // namespace

std::array<uint32_t, 4> Philox4x32(uint64_t key, uint64_t counter_low, uint64_t counter_high) {
  std::array<uint32_t, 4> c = {
      static_cast<uint32_t>(counter_low), static_cast<uint32_t>(counter_low >> 32),
      static_cast<uint32_t>(counter_high), static_cast<uint32_t>(counter_high >> 32)};
  uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round, k0 += kWeyl0, k1 += kWeyl1) {
    const uint64_t p0 = static_cast<uint64_t>(kMultiplier0) * c[0];
    const uint64_t p1 = static_cast<uint64_t>(kMultiplier1) * c[2];
    c = {static_cast<uint32_t>(p1 >> 32) ^ c[1] ^ k0, static_cast<uint32_t>(p1),
         static_cast<uint32_t>(p0 >> 32) ^ c[3] ^ k1, static_cast<uint32_t>(p0)};
  }
  return c;
}

CounterRandom::CounterRandom(uint64_t seed, absl::string_view purpose) {
  const Digest digest = Sha256::Of(absl::StrCat(seed, "/", purpose));
  std::memcpy(&key_, digest.bytes.data(), sizeof(key_));
}

uint64_t CounterRandom::Bits(uint64_t a, uint64_t b) const {
  const auto block = Philox4x32(key_, a, b);
  return static_cast<uint64_t>(block[1]) << 32 | block[0];
}

double CounterRandom::Uniform(uint64_t a, uint64_t b) const {
  return static_cast<double>(Bits(a, b) >> 11) * 0x1.0p-53;
}

uint64_t CounterRandom::Below(uint64_t n, uint64_t a, uint64_t b) const {
  return static_cast<uint64_t>(static_cast<unsigned __int128>(Bits(a, b)) * n >> 64);
}

std::vector<int64_t> CounterRandom::Permutation(int64_t n, uint64_t a) const {
  std::vector<int64_t> order(n);
  std::iota(order.begin(), order.end(), 0);
  for (int64_t i = n - 1; i > 0; --i) std::swap(order[i], order[Below(i + 1, a, i)]);
  return order;
}

}  // namespace reflux
