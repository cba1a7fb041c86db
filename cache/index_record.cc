#include "cache/index_record.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "cache/big_endian.h"
#include "common/base/status_macros.h"

namespace reflux {
namespace {

constexpr uint8_t kWithoutOrigin = 1, kWithOrigin = 2;  // record versions

}  // namespace

std::string EncodeIndexRecord(const IndexRecord& record) {
  std::string out;
  out.reserve(kIndexRecordWithOriginSize);
  AppendBigEndian(out, record.origin.has_value() ? kWithOrigin : kWithoutOrigin, 1);
  AppendBigEndian(out, record.insertion, 8);
  AppendBigEndian(out, record.size, 8);
  AppendBigEndian(out, record.checksum, 8);
  out.append(record.set.digest.AsBytes().data(), Digest::kSize);
  AppendBigEndian(out, static_cast<uint8_t>(record.dtype), 1);
  AppendBigEndian(out, static_cast<uint8_t>(record.codec), 1);
  for (int32_t side : record.shape) AppendBigEndian(out, static_cast<uint32_t>(side), 4);
  if (record.origin.has_value()) out += EncodeTargetOrigin(*record.origin);
  return out;
}

absl::StatusOr<IndexRecord> DecodeIndexRecord(absl::string_view bytes) {
  if (bytes.empty()) return absl::DataLossError("index record: empty");
  const size_t found = bytes.size();
  const uint64_t version = TakeBigEndian(bytes, 1);
  if (version != kWithoutOrigin && version != kWithOrigin) {
    return absl::DataLossError("index record: unknown version");
  }
  const size_t size = version == kWithOrigin ? kIndexRecordWithOriginSize : kIndexRecordSize;
  if (found != size) {
    return absl::DataLossError(absl::StrCat("index record: ", found, " bytes instead of ", size));
  }
  IndexRecord record;
  record.insertion = TakeBigEndian(bytes, 8);
  record.size = TakeBigEndian(bytes, 8);
  record.checksum = TakeBigEndian(bytes, 8);
  REFLUX_ASSIGN_OR_RETURN(record.set.digest, Digest::FromBytes(bytes.substr(0, Digest::kSize)));
  bytes.remove_prefix(Digest::kSize);
  const uint64_t dtype = TakeBigEndian(bytes, 1);
  const uint64_t codec = TakeBigEndian(bytes, 1);
  if (dtype < 1 || dtype > 4 || !IsCodec(static_cast<int64_t>(codec)) ||
      record.size > static_cast<uint64_t>(EncodedTarget::kMaxBytes)) {
    return absl::DataLossError("index record: a field is out of range");
  }
  record.dtype = static_cast<DType>(dtype);
  record.codec = static_cast<Codec>(codec);
  for (int32_t& side : record.shape) side = static_cast<int32_t>(TakeBigEndian(bytes, 4));
  if (version == kWithOrigin) {
    const absl::StatusOr<TargetOrigin> origin = DecodeTargetOrigin(bytes);
    if (!origin.ok()) {
      return absl::DataLossError(absl::StrCat("index record: ", origin.status().message()));
    }
    record.origin = *origin;
  }
  return record;
}

std::string EncodeOrderRecord(const TargetKey& key, const IndexRecord& record) {
  return absl::StrCat(key.digest.AsBytes(), EncodeIndexRecord(record));
}

absl::Status DecodeOrderRecord(absl::string_view number, absl::string_view bytes, TargetKey& key,
                               IndexRecord& record) {
  REFLUX_ASSIGN_OR_RETURN(const uint64_t insertion, DecodeInsertion(number));
  if (bytes.size() < Digest::kSize) {
    return absl::DataLossError(absl::StrCat("order record: ", bytes.size(), " bytes"));
  }
  REFLUX_ASSIGN_OR_RETURN(key.digest, Digest::FromBytes(bytes.substr(0, Digest::kSize)));
  REFLUX_ASSIGN_OR_RETURN(record, DecodeIndexRecord(bytes.substr(Digest::kSize)));
  if (record.insertion != insertion) {
    return absl::DataLossError("order record: another insertion number than its key");
  }
  return absl::OkStatus();
}

std::string EncodeInsertion(uint64_t insertion) {
  std::string out;
  AppendBigEndian(out, insertion, 8);
  return out;
}

absl::StatusOr<uint64_t> DecodeInsertion(absl::string_view key) {
  if (key.size() != 8) return absl::DataLossError("values: a key is not 8 bytes long");
  return TakeBigEndian(key, 8);
}

}  // namespace reflux
