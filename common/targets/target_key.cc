#include "common/targets/target_key.h"

#include <bit>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/targets/key_fields.h"

namespace reflux {
namespace {

void AppendHead(std::string& out, absl::string_view kind) {
  AppendField(out, KeyTag::kKind, kind);
  std::string version;
  AppendU32(version, kTargetKeyVersion);
  AppendField(out, KeyTag::kVersion, version);
}

void AppendTeacher(std::string& out, const TeacherIdentity& teacher) {
  AppendField(out, KeyTag::kTeacher, teacher.digest.AsBytes());
  const Preprocessing& p = teacher.preprocessing;
  std::string value;
  AppendU8(value, p.bgr ? 1 : 0);
  AppendF64(value, p.divisor);
  for (double mean : p.mean) AppendF64(value, mean);
  for (double deviation : p.deviation) AppendF64(value, deviation);
  AppendField(out, KeyTag::kPreprocessing, value);
  const Numerics& n = teacher.numerics;
  value.clear();
  AppendU8(value, static_cast<uint8_t>(n.mode));
  AppendU8(value, static_cast<uint8_t>(n.compute));
  AppendU8(value, n.tf32 ? 1 : 0);
  AppendU32(value, static_cast<uint32_t>(n.threads));
  AppendU32(value, static_cast<uint32_t>(n.batch));
  AppendU32(value, static_cast<uint32_t>(n.inference_revision));
  AppendField(out, KeyTag::kNumerics, value);
}

constexpr int kMaxViewByte = 7;
// Bit 0: flip; from bit 1 on the power of two of decode_shrink, 0 to 3.
uint8_t ViewByte(const View& v) {
  const int power = std::countr_zero(static_cast<uint32_t>(v.decode_shrink));
  return static_cast<uint8_t>((power << 1) | (v.flip ? 1 : 0));
}

void AppendView(std::string& out, const View& v) {
  for (int32_t side :
       {v.resized_height, v.resized_width, v.crop_y, v.crop_x, v.crop_height, v.crop_width}) {
    AppendU32(out, static_cast<uint32_t>(side));
  }
  AppendU8(out, ViewByte(v));
}

void AppendSample(std::string& out, const SampleRef& sample) {
  AppendField(out, KeyTag::kSample, sample.digest.AsBytes());
  std::string value;
  AppendView(value, sample.view);
  AppendField(out, KeyTag::kView, value);
}

int32_t TakeI32(absl::string_view& bytes) {
  uint32_t value = 0;
  for (int i = 0; i < 4; ++i) value = value << 8 | static_cast<uint8_t>(bytes[i]);
  bytes.remove_prefix(4);
  return static_cast<int32_t>(value);
}

void AppendSpec(std::string& out, const TargetSpec& spec) {
  AppendField(out, KeyTag::kTap, spec.tap);
  std::string value;
  AppendU8(value, static_cast<uint8_t>(spec.reduction));
  AppendField(out, KeyTag::kReduction, value);
  value.clear();
  AppendU8(value, static_cast<uint8_t>(spec.codec));
  AppendField(out, KeyTag::kCodec, value);
}

}  // namespace

std::string TargetKeyBytes(const TeacherIdentity& teacher, const SampleRef& sample,
                           const TargetSpec& spec) {
  std::string out;
  AppendHead(out, "reflux.target");
  AppendTeacher(out, teacher);
  AppendSample(out, sample);
  AppendSpec(out, spec);
  AppendField(out, KeyTag::kLabels,
              ReadsLabels(spec.reduction) ? sample.label_digest.AsBytes() : absl::string_view());
  return out;
}

TargetKey MakeTargetKey(const TeacherIdentity& teacher, const SampleRef& sample,
                        const TargetSpec& spec) {
  return {Sha256::Of(TargetKeyBytes(teacher, sample, spec))};
}

std::string EncodeTargetOrigin(const TargetOrigin& origin) {
  std::string out(origin.sample.AsBytes());
  AppendView(out, origin.view);
  out.append(origin.label.AsBytes().data(), Digest::kSize);
  return out;
}

absl::StatusOr<TargetOrigin> DecodeTargetOrigin(absl::string_view bytes) {
  if (bytes.size() != kTargetOriginSize) {
    return absl::InvalidArgumentError(
        absl::StrCat("origin: ", bytes.size(), " bytes instead of ", kTargetOriginSize));
  }
  TargetOrigin origin;
  REFLUX_ASSIGN_OR_RETURN(origin.sample, Digest::FromBytes(bytes.substr(0, Digest::kSize)));
  REFLUX_ASSIGN_OR_RETURN(origin.label,
                          Digest::FromBytes(bytes.substr(bytes.size() - Digest::kSize)));
  bytes.remove_prefix(Digest::kSize);
  View& v = origin.view;
  for (int32_t* side :
       {&v.resized_height, &v.resized_width, &v.crop_y, &v.crop_x, &v.crop_height, &v.crop_width}) {
    *side = TakeI32(bytes);
  }
  const auto how = static_cast<uint8_t>(bytes[0]);
  if (how > kMaxViewByte) {
    return absl::InvalidArgumentError(
        absl::StrCat("origin: flip and decode_shrink are ", how, ", at most ", kMaxViewByte));
  }
  v.flip = (how & 1) != 0;
  v.decode_shrink = 1 << (how >> 1);
  REFLUX_RETURN_IF_ERROR(v.Validate());
  return origin;
}

TargetKey MakeTargetKey(const TargetSet& set, const TargetOrigin& origin) {
  SampleRef sample;
  sample.digest = origin.sample;
  sample.view = origin.view;
  sample.label_digest = origin.label;
  return MakeTargetKey(set.teacher, sample, set.spec);
}

std::string TargetSet::DisplayName() const {
  return absl::StrCat(dataset.empty() ? "unnamed" : dataset, "/", model.empty() ? "teacher" : model,
                      "@", teacher.digest.Short());
}

std::string TargetSetBytes(const TargetSet& set) {
  std::string out;
  AppendHead(out, "reflux.set");
  AppendTeacher(out, set.teacher);
  AppendSpec(out, set.spec);
  AppendField(out, KeyTag::kDataset, set.dataset);
  return out;
}

TargetSetId MakeTargetSetId(const TargetSet& set) { return {Sha256::Of(TargetSetBytes(set))}; }

}  // namespace reflux
