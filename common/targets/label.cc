#include "common/targets/label.h"

#include "absl/strings/str_cat.h"
#include "common/targets/key_fields.h"

namespace reflux {
namespace {

constexpr uint32_t kLabelVersion = 1;
constexpr int32_t kMaxIndex = 255, kMaxValue = 65535;

}  // namespace

absl::Status LabelMap::Validate() const {
  if (num_classes < 1 || num_classes > kMaxIndex || ignore_index < 0 || ignore_index > kMaxIndex) {
    return absl::InvalidArgumentError(
        "label map: classes must be 1..255, the ignored index 0..255");
  }
  for (const auto& [value, index] : values) {
    const bool known = index == ignore_index || (index >= 0 && index < num_classes);
    if (value >= 0 && value <= kMaxValue && known) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("label map: ", value, " -> ", index, " is out of range"));
  }
  return absl::OkStatus();
}

std::string LabelDigestBytes(const Digest& encoded, const LabelMap& map) {
  std::string out, value;
  AppendField(out, KeyTag::kKind, "reflux.label");
  AppendU32(value, kLabelVersion);
  AppendField(out, KeyTag::kVersion, value);
  AppendField(out, KeyTag::kLabelBytes, encoded.empty() ? absl::string_view() : encoded.AsBytes());
  value.clear();
  AppendU32(value, static_cast<uint32_t>(map.num_classes));
  AppendU32(value, static_cast<uint32_t>(map.ignore_index));
  for (const auto& [from, to] : map.values) {
    AppendU32(value, static_cast<uint32_t>(from));
    AppendU32(value, static_cast<uint32_t>(to));
  }
  AppendField(out, KeyTag::kLabelMap, value);
  return out;
}

Digest LabelDigest(const Digest& encoded, const LabelMap& map) {
  return Sha256::Of(LabelDigestBytes(encoded, map));
}

Digest LabelDigest(const LabelFile& label) {
  return LabelDigest(label.bytes.empty() ? Digest() : Sha256::Of(label.bytes), *label.map);
}

}  // namespace reflux
