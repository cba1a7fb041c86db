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
constexpr uint64_t kEntryVersion = 1;
constexpr uint64_t kCountVersion = 1;
constexpr size_t kEntrySize = 49 + kTargetOriginSize;
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

}  // namespace

std::string EncodeRadosHeader(const RadosHeader& header) {
  std::string out(kMagic);
  AppendBigEndian(out, header.size, 8);
  AppendBigEndian(out, header.checksum, 8);
  AppendDigest(out, header.key.digest);
  AppendDigest(out, header.set.digest);
  AppendBigEndian(out, static_cast<uint8_t>(header.dtype), 1);
  AppendBigEndian(out, static_cast<uint8_t>(header.codec), 1);
  AppendBigEndian(out, 0, 2);
  for (int32_t side : header.shape) AppendBigEndian(out, static_cast<uint32_t>(side), 4);
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
  header.checksum = TakeBigEndian(bytes, 8);
  header.key.digest = TakeDigest(bytes);
  header.set.digest = TakeDigest(bytes);
  const uint64_t dtype = TakeBigEndian(bytes, 1);
  const uint64_t codec = TakeBigEndian(bytes, 1);
  TakeBigEndian(bytes, 2);
  for (int32_t& side : header.shape) side = static_cast<int32_t>(TakeBigEndian(bytes, 4));
  header.nonce = TakeBigEndian(bytes, 8);
  const absl::StatusOr<TargetOrigin> origin =
      DecodeTargetOrigin(bytes.substr(0, kTargetOriginSize));
  bytes.remove_prefix(bytes.size() - 8);
  if (TakeBigEndian(bytes, 8) != checksum) {
    return absl::DataLossError("object header: wrong checksum");
  }
  if (dtype < 1 || dtype > 4 || !IsCodec(static_cast<int64_t>(codec)) ||
      header.size > static_cast<uint64_t>(EncodedTarget::kMaxBytes) || !origin.ok()) {
    return absl::DataLossError("object header: a field is out of range");
  }
  header.origin = *origin;
  header.dtype = static_cast<DType>(dtype);
  header.codec = static_cast<Codec>(codec);
  return header;
}

std::string EncodeRadosEntry(const RadosEntry& entry) {
  std::string out;
  AppendBigEndian(out, kEntryVersion, 1);
  AppendBigEndian(out, entry.size, 8);
  AppendBigEndian(out, entry.stamp, 8);
  AppendDigest(out, entry.set.digest);
  return out + EncodeTargetOrigin(entry.origin);
}

absl::StatusOr<RadosEntry> DecodeRadosEntry(absl::string_view bytes) {
  REFLUX_RETURN_IF_ERROR(CheckSize(bytes, kEntrySize, "index entry"));
  if (TakeBigEndian(bytes, 1) != kEntryVersion) {
    return absl::DataLossError("index entry: unknown version");
  }
  RadosEntry entry;
  entry.size = TakeBigEndian(bytes, 8);
  entry.stamp = TakeBigEndian(bytes, 8);
  entry.set.digest = TakeDigest(bytes);
  const absl::StatusOr<TargetOrigin> origin = DecodeTargetOrigin(bytes);
  if (!origin.ok()) {
    return absl::DataLossError(absl::StrCat("index entry: ", origin.status().message()));
  }
  entry.origin = *origin;
  if (entry.size > static_cast<uint64_t>(EncodedTarget::kMaxBytes)) {
    return absl::DataLossError("index entry: the size is out of range");
  }
  return entry;
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
