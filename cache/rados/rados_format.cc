#include "cache/rados/rados_format.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cache/big_endian.h"
#include "common/base/status_macros.h"

namespace reflux {
namespace {

constexpr absl::string_view kMagic = "RFLXTGT1";
constexpr uint64_t kEntryVersion = 2;
constexpr uint64_t kEntryVersionWithoutForm = 1;
constexpr uint64_t kCountVersion = 1;
constexpr size_t kKindSize = 16;
constexpr size_t kEntrySizeWithoutForm = 49 + kTargetOriginSize;
constexpr size_t kEntrySize = kEntrySizeWithoutForm + kKindSize + 8;
constexpr size_t kCountSize = 25;
constexpr char kCountPrefix = '#';

void AppendDigest(std::string& out, const Digest& digest) {
  out.append(digest.AsBytes().data(), Digest::kSize);
}

Digest TakeDigest(absl::string_view& bytes) {
  Digest digest;
  std::copy_n(bytes.data(), Digest::kSize, digest.bytes.begin());
  bytes.remove_prefix(Digest::kSize);
  return digest;
}

absl::Status CheckSize(absl::string_view bytes, size_t size, absl::string_view what) {
  if (bytes.size() == size) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(what, ": ", bytes.size(), " bytes instead of ", size));
}

// A form but its checksum, which stands elsewhere in a header than in an entry.
void AppendKind(std::string& out, const RadosForm& form) {
  AppendBigEndian(out, static_cast<uint8_t>(form.dtype), 1);
  AppendBigEndian(out, static_cast<uint8_t>(form.codec), 1);
  AppendBigEndian(out, 0, 2);
  for (int32_t side : form.shape) AppendBigEndian(out, static_cast<uint32_t>(side), 4);
}

// False: a field is out of range.
bool TakeKind(absl::string_view& bytes, RadosForm& form) {
  const uint64_t dtype = TakeBigEndian(bytes, 1);
  const uint64_t codec = TakeBigEndian(bytes, 1);
  TakeBigEndian(bytes, 2);
  for (int32_t& side : form.shape) side = static_cast<int32_t>(TakeBigEndian(bytes, 4));
  if (dtype < 1 || dtype > 4 || !IsCodec(static_cast<int64_t>(codec))) return false;
  form.dtype = static_cast<DType>(dtype);
  form.codec = static_cast<Codec>(codec);
  return true;
}

// What follows the version of an entry.
absl::StatusOr<RadosEntry> TakeEntry(absl::string_view bytes, bool with_form) {
  REFLUX_RETURN_IF_ERROR(
      CheckSize(bytes, (with_form ? kEntrySize : kEntrySizeWithoutForm) - 1, "index entry"));
  RadosEntry entry;
  entry.size = TakeBigEndian(bytes, 8);
  entry.stamp = TakeBigEndian(bytes, 8);
  entry.set.digest = TakeDigest(bytes);
  const auto origin = DecodeTargetOrigin(bytes.substr(0, kTargetOriginSize));
  bytes.remove_prefix(kTargetOriginSize);
  RadosForm form;
  bool fits = origin.ok() && entry.size <= static_cast<uint64_t>(EncodedTarget::kMaxBytes);
  if (with_form) {
    fits = TakeKind(bytes, form) && fits;
    form.checksum = TakeBigEndian(bytes, 8);
    entry.form = form;
  }
  if (!fits) return absl::DataLossError("index entry: a field is out of range");
  entry.origin = *origin;
  return entry;
}

}  // namespace

RadosForm RadosForm::Of(const EncodedTarget& target) {
  return {target.dtype, target.codec, target.shape, target.checksum};
}

EncodedTarget RadosForm::WithoutBytes() const {
  return {.dtype = dtype, .codec = codec, .shape = shape, .checksum = checksum};
}

std::string EncodeRadosHeader(const RadosHeader& header) {
  std::string out(kMagic);
  AppendBigEndian(out, header.size, 8);
  AppendBigEndian(out, header.form.checksum, 8);
  AppendDigest(out, header.key.digest);
  AppendDigest(out, header.set.digest);
  AppendKind(out, header.form);
  AppendBigEndian(out, header.nonce, 8);
  out += EncodeTargetOrigin(header.origin);
  out.resize(kRadosHeaderSize - 8);
  AppendBigEndian(out, TargetChecksum(out), 8);
  return out;
}

absl::StatusOr<RadosHeader> DecodeRadosHeader(absl::string_view bytes) {
  REFLUX_RETURN_IF_ERROR(CheckSize(bytes, kRadosHeaderSize, "object header"));
  const uint64_t checksum = TargetChecksum(bytes.substr(0, kRadosHeaderSize - 8));
  if (!absl::StartsWith(bytes, kMagic)) return absl::DataLossError("object header: no target");
  bytes.remove_prefix(kMagic.size());
  RadosHeader header;
  header.size = TakeBigEndian(bytes, 8);
  header.form.checksum = TakeBigEndian(bytes, 8);
  header.key.digest = TakeDigest(bytes);
  header.set.digest = TakeDigest(bytes);
  const bool known = TakeKind(bytes, header.form);
  header.nonce = TakeBigEndian(bytes, 8);
  const absl::StatusOr<TargetOrigin> origin =
      DecodeTargetOrigin(bytes.substr(0, kTargetOriginSize));
  bytes.remove_prefix(bytes.size() - 8);
  if (TakeBigEndian(bytes, 8) != checksum) {
    return absl::DataLossError("object header: wrong checksum");
  }
  if (!known || header.size > static_cast<uint64_t>(EncodedTarget::kMaxBytes) || !origin.ok()) {
    return absl::DataLossError("object header: a field is out of range");
  }
  header.origin = *origin;
  return header;
}

std::string EncodeRadosEntry(const RadosEntry& entry) {
  std::string out;
  AppendBigEndian(out, entry.form.has_value() ? kEntryVersion : kEntryVersionWithoutForm, 1);
  AppendBigEndian(out, entry.size, 8);
  AppendBigEndian(out, entry.stamp, 8);
  AppendDigest(out, entry.set.digest);
  out += EncodeTargetOrigin(entry.origin);
  if (!entry.form.has_value()) return out;
  AppendKind(out, *entry.form);
  AppendBigEndian(out, entry.form->checksum, 8);
  return out;
}

absl::StatusOr<RadosEntry> DecodeRadosEntry(absl::string_view bytes) {
  if (bytes.empty()) return absl::DataLossError("index entry: empty");
  switch (TakeBigEndian(bytes, 1)) {
    case kEntryVersion:
      return TakeEntry(bytes, /*with_form=*/true);
    case kEntryVersionWithoutForm:
      return TakeEntry(bytes, /*with_form=*/false);
    default:
      return absl::DataLossError("index entry: unknown version");
  }
}

std::string EncodeRadosCount(const RadosCount& count) {
  std::string out;
  AppendBigEndian(out, kCountVersion, 1);
  AppendBigEndian(out, count.revision, 8);
  AppendBigEndian(out, count.entries, 8);
  AppendBigEndian(out, count.bytes, 8);
  return out;
}

absl::StatusOr<RadosCount> DecodeRadosCount(absl::string_view bytes) {
  if (bytes.empty()) return RadosCount{};
  REFLUX_RETURN_IF_ERROR(CheckSize(bytes, kCountSize, "index count"));
  if (TakeBigEndian(bytes, 1) != kCountVersion) {
    return absl::DataLossError("index count: unknown version");
  }
  RadosCount count;
  count.revision = TakeBigEndian(bytes, 8);
  count.entries = TakeBigEndian(bytes, 8);
  count.bytes = TakeBigEndian(bytes, 8);
  return count;
}

int ShardOf(const TargetKey& key) { return key.digest.bytes[0] / (256 / kRadosShards); }

std::string ShardName(int shard) { return absl::StrFormat("index.%02x", shard); }

std::string CountName(const TargetSetId& set) {
  return absl::StrCat(std::string(1, kCountPrefix), set.digest.Hex());
}

absl::StatusOr<TargetKey> ParseEntryName(absl::string_view name) {
  absl::StatusOr<Digest> digest = Digest::FromHex(name);
  if (!digest.ok()) return absl::NotFoundError("not the name of an entry");
  return TargetKey{*digest};
}

absl::StatusOr<TargetSetId> ParseCountName(absl::string_view name) {
  if (name.empty() || name[0] != kCountPrefix) {
    return absl::NotFoundError("not the name of a count");
  }
  absl::StatusOr<Digest> digest = Digest::FromHex(name.substr(1));
  if (!digest.ok()) return absl::NotFoundError("not the name of a count");
  return TargetSetId{*digest};
}

std::string SetNamespace(absl::string_view store, const TargetSetId& set) {
  return absl::StrCat(store, "/", set.digest.Hex());
}

std::string HeadName(const TargetKey& key) { return key.digest.Hex(); }

std::string PartName(const TargetKey& key, uint64_t nonce, int64_t part) {
  return absl::StrFormat("%s.%016x.%d", key.digest.Hex(), nonce, part);
}

int64_t PartCount(int64_t size) {
  return std::max<int64_t>(1, (size + kRadosPartBytes - 1) / kRadosPartBytes);
}

}  // namespace reflux
