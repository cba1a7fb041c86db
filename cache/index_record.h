// The bytes of the `values` keys and the `index` values (docs/cache_format.md). Pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/targets/target.h"
#include "common/targets/target_key.h"

namespace reflux {

// What the index knows of a stored target.
struct IndexRecord {
  uint64_t insertion = 0;  // key in `values`
  uint64_t size = 0;       // bytes
  uint64_t checksum = 0;   // XXH3-64 of the value
  TargetSetId set;
  DType dtype = DType::kFloat32;
  Codec codec = Codec::kFp32;
  std::array<int32_t, 3> shape = {0, 0, 0};
  std::optional<TargetOrigin> origin;  // absent in entries of format version 1
  bool operator==(const IndexRecord&) const = default;
};

// Bytes of a record without origin (version 1) and with it (version 2).
inline constexpr size_t kIndexRecordSize = 71;
inline constexpr size_t kIndexRecordWithOriginSize = kIndexRecordSize + kTargetOriginSize;

std::string EncodeIndexRecord(const IndexRecord& record);
// DataLoss unless `bytes` is a record of version 1 or 2 with every field in its range.
absl::StatusOr<IndexRecord> DecodeIndexRecord(absl::string_view bytes);

// The value of an `order` entry: the target's key, then its index record.
std::string EncodeOrderRecord(const TargetKey& key, const IndexRecord& record);
// DataLoss unless `number` and `bytes` are key and value of an `order` entry.
absl::Status DecodeOrderRecord(absl::string_view number, absl::string_view bytes, TargetKey& key,
                               IndexRecord& record);

// 8 bytes, big-endian: numbers ascend as keys do.
std::string EncodeInsertion(uint64_t insertion);
absl::StatusOr<uint64_t> DecodeInsertion(absl::string_view key);

}  // namespace reflux
