#include "distill/tensors/deterministic_fill.h"

#include <array>
#include <cmath>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace reflux {
namespace {

constexpr std::array<uint32_t, 256> MakeCrcTable() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t c = i;
    for (int bit = 0; bit < 8; ++bit) c = (c >> 1) ^ ((c & 1) ? 0xEDB88320u : 0u);
    table[i] = c;
  }
  return table;
}
constexpr std::array<uint32_t, 256> kCrcTable = MakeCrcTable();

double UnitValue(uint32_t hash, uint32_t index) {
  uint32_t x = hash + index * 0x9E3779B9u;
  x ^= x >> 16;
  x *= 0x7FEB352Du;
  x ^= x >> 15;
  x *= 0x846CA68Bu;
  x ^= x >> 16;
  return (x >> 8) * 0x1p-23 - 1.0;
}

// value = offset + scale * v
struct Affine {
  double offset = 0, scale = 1;
};

Affine RuleFor(absl::string_view name, const std::vector<int64_t>& shape, int64_t count,
               FillRule rule) {
  if (rule == FillRule::kInput) return {0, 2};
  if (absl::EndsWith(name, "running_mean")) return {0, 0.1};
  if (absl::EndsWith(name, "running_var")) return {1, 0.25};
  if (absl::EndsWith(name, ".bias")) return {0, 0.1};
  if (shape.size() < 2) return {1, 0.25};
  const double fan_in = static_cast<double>(count) / static_cast<double>(shape[0]);
  return {0, std::sqrt(3.0 / fan_in)};
}

}  // namespace

uint32_t Crc32(absl::string_view bytes) {
  uint32_t c = 0xFFFFFFFFu;
  for (const char byte : bytes) c = (c >> 8) ^ kCrcTable[(c ^ static_cast<uint8_t>(byte)) & 0xFF];
  return c ^ 0xFFFFFFFFu;
}

torch::Tensor DeterministicFill(absl::string_view salt, absl::string_view name,
                                const std::vector<int64_t>& shape, FillRule rule) {
  if (absl::EndsWith(name, "num_batches_tracked")) return torch::zeros(shape, torch::kInt64);
  torch::Tensor tensor = torch::empty(shape, torch::kFloat32);
  const uint32_t hash = Crc32(absl::StrCat(salt, name));
  const Affine affine = RuleFor(name, shape, tensor.numel(), rule);
  float* values = tensor.data_ptr<float>();
  for (int64_t i = 0; i < tensor.numel(); ++i) {
    const double v = UnitValue(hash, static_cast<uint32_t>(i));
    values[i] = static_cast<float>(affine.offset + affine.scale * v);
  }
  return tensor;
}

}  // namespace reflux
