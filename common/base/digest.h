// SHA-256 digests: the identity of teachers, samples and targets.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace reflux {

struct Digest {
  static constexpr size_t kSize = 32;
  std::array<uint8_t, kSize> bytes{};

  auto operator<=>(const Digest&) const = default;
  bool empty() const { return *this == Digest{}; }
  // 64 lower-case hexadecimal digits; Short() the first 8.
  std::string Hex() const;
  std::string Short() const { return Hex().substr(0, 8); }
  absl::string_view AsBytes() const {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  // InvalidArgument unless `hex` has 64 hexadecimal digits / `raw` has 32 bytes.
  static absl::StatusOr<Digest> FromHex(absl::string_view hex);
  static absl::StatusOr<Digest> FromBytes(absl::string_view raw);

  template <typename H>
  friend H AbslHashValue(H h, const Digest& d) {
    return H::combine(std::move(h), d.bytes);
  }
};

// SHA-256 over a stream of bytes. Not thread-safe.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  void Update(absl::string_view bytes);
  // Ends the stream: nothing may follow.
  Digest Finish();

  static Digest Of(absl::string_view bytes);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace reflux
