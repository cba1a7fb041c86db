#include "common/targets/target_key.h"

#include <bit>
#include <cstdint>

#include "absl/strings/str_cat.h"

namespace reflux {
namespace {

// Tags of docs/cache_format.md; never renumber.
enum Tag : uint8_t {
  kKind = 0,
  kVersion = 1,
  kTeacher = 2,
  kPreprocessing = 3,
  kNumerics = 4,
  kSample = 5,
  kView = 6,
  kTap = 7,
  kReduction = 8,
  kCodec = 9,
  kLabels = 10,
  kDataset = 11,
};

void AppendU8(std::string& out, uint8_t value) { out.push_back(static_cast<char>(value)); }

void AppendU32(std::string& out, uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) AppendU8(out, static_cast<uint8_t>(value >> shift));
}

// IEEE 754 bits; minus zero equals zero, so both are written as zero.
void AppendF64(std::string& out, double value) {
  const uint64_t bits = std::bit_cast<uint64_t>(value == 0 ? 0.0 : value);
  AppendU32(out, static_cast<uint32_t>(bits >> 32));
  AppendU32(out, static_cast<uint32_t>(bits));
}

void AppendField(std::string& out, Tag tag, absl::string_view value) {
  AppendU8(out, tag);
  AppendU32(out, static_cast<uint32_t>(value.size()));
  out.append(value.data(), value.size());
}

void AppendHead(std::string& out, absl::string_view kind) {
  AppendField(out, kKind, kind);
  std::string version;
  AppendU32(version, kTargetKeyVersion);
  AppendField(out, kVersion, version);
}

void AppendTeacher(std::string& out, const TeacherIdentity& teacher) {
  AppendField(out, kTeacher, teacher.digest.AsBytes());
  const Preprocessing& p = teacher.preprocessing;
  std::string value;
  AppendU8(value, p.bgr ? 1 : 0);
  AppendF64(value, p.divisor);
  for (double mean : p.mean) AppendF64(value, mean);
  for (double deviation : p.deviation) AppendF64(value, deviation);
  AppendField(out, kPreprocessing, value);
  const Numerics& n = teacher.numerics;
  value.clear();
  AppendU8(value, static_cast<uint8_t>(n.mode));
  AppendU8(value, static_cast<uint8_t>(n.compute));
  AppendU8(value, n.tf32 ? 1 : 0);
  AppendU32(value, static_cast<uint32_t>(n.threads));
  AppendU32(value, static_cast<uint32_t>(n.batch));
  AppendU32(value, static_cast<uint32_t>(n.inference_revision));
  AppendField(out, kNumerics, value);
}

void AppendSample(std::string& out, const SampleRef& sample) {
  AppendField(out, kSample, sample.digest.AsBytes());
  const View& v = sample.view;
  std::string value;
  for (int32_t side :
       {v.resized_height, v.resized_width, v.crop_y, v.crop_x, v.crop_height, v.crop_width}) {
    AppendU32(value, static_cast<uint32_t>(side));
  }
  AppendU8(value, v.flip ? 1 : 0);
  AppendField(out, kView, value);
}

void AppendSpec(std::string& out, const TargetSpec& spec) {
  AppendField(out, kTap, spec.tap);
  std::string value;
  AppendU8(value, static_cast<uint8_t>(spec.reduction));
  AppendField(out, kReduction, value);
  value.clear();
  AppendU8(value, static_cast<uint8_t>(spec.codec));
  AppendField(out, kCodec, value);
}

}  // namespace

std::string TargetKeyBytes(const TeacherIdentity& teacher, const SampleRef& sample,
                           const TargetSpec& spec, const Digest& label_digest) {
  std::string out;
  AppendHead(out, "reflux.target");
  AppendTeacher(out, teacher);
  AppendSample(out, sample);
  AppendSpec(out, spec);
  AppendField(out, kLabels, label_digest.empty() ? absl::string_view() : label_digest.AsBytes());
  return out;
}

TargetKey MakeTargetKey(const TeacherIdentity& teacher, const SampleRef& sample,
                        const TargetSpec& spec, const Digest& label_digest) {
  return {Sha256::Of(TargetKeyBytes(teacher, sample, spec, label_digest))};
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
  AppendField(out, kDataset, set.dataset);
  return out;
}

TargetSetId MakeTargetSetId(const TargetSet& set) { return {Sha256::Of(TargetSetBytes(set))}; }

}  // namespace reflux
