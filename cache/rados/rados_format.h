// Names and bytes of a store on RADOS (docs/scale_out.md). Pure functions, without librados.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/targets/target.h"
#include "common/targets/target_key.h"

namespace reflux {

inline constexpr int kRadosFormatVersion = 2;
// A store of this version becomes one of the newest when it is opened: its entries have no form.
inline constexpr int kOldestRadosFormatVersion = 1;
// Of a value, in one object. RADOS takes 90 MB in one write and 128 MiB in one object.
inline constexpr int64_t kRadosPartBytes = int64_t{64} << 20;
inline constexpr int kRadosShards = 64;  // of the index

// What a value is, without its bytes.
struct RadosForm {
  DType dtype = DType::kFloat32;
  Codec codec = Codec::kFp32;
  std::array<int32_t, 3> shape = {0, 0, 0};
  uint64_t checksum = 0;  // XXH3-64 of the value
  bool operator==(const RadosForm&) const = default;

  static RadosForm Of(const EncodedTarget& target);
  EncodedTarget WithoutBytes() const;
};

// What stands before a value in its object.
struct RadosHeader {
  uint64_t size = 0;  // bytes of the value
  TargetKey key;
  TargetSetId set;
  RadosForm form;
  uint64_t nonce = 0;   // names the parts of a value that is larger than kRadosPartBytes
  TargetOrigin origin;  // what the target was made of: an index can be rebuilt from headers
  bool operator==(const RadosHeader&) const = default;
};
inline constexpr size_t kRadosHeaderSize = 224;
std::string EncodeRadosHeader(const RadosHeader& header);
// DataLoss unless the checksum of the header is right and every field in its range.
absl::StatusOr<RadosHeader> DecodeRadosHeader(absl::string_view bytes);

// What the index knows of a target.
struct RadosEntry {
  uint64_t size = 0;   // bytes of the value
  uint64_t stamp = 0;  // microseconds since 1970 when it was put, ascending within a server
  TargetSetId set;
  TargetOrigin origin;  // what the target was made of
  // Gives the value its place before it is read; absent when version 1 stored the entry.
  std::optional<RadosForm> form;
  bool operator==(const RadosEntry&) const = default;
};
// As version 1 had it when there is no form.
std::string EncodeRadosEntry(const RadosEntry& entry);
absl::StatusOr<RadosEntry> DecodeRadosEntry(absl::string_view bytes);

// What a shard of the index holds of one set. Changed together with the entries.
struct RadosCount {
  uint64_t revision = 0;  // raised by every change
  uint64_t entries = 0;
  uint64_t bytes = 0;
  bool operator==(const RadosCount&) const = default;
};
std::string EncodeRadosCount(const RadosCount& count);
// Empty bytes: all zero, as before the first change.
absl::StatusOr<RadosCount> DecodeRadosCount(absl::string_view bytes);

int ShardOf(const TargetKey& key);
std::string ShardName(int shard);  // "index.00" ... "index.3f"
std::string CountName(const TargetSetId& set);
// NotFound when an omap key of a shard is no such name.
absl::StatusOr<TargetKey> ParseEntryName(absl::string_view name);
absl::StatusOr<TargetSetId> ParseCountName(absl::string_view name);

std::string SetNamespace(absl::string_view store, const TargetSetId& set);
std::string HeadName(const TargetKey& key);
std::string PartName(const TargetKey& key, uint64_t nonce, int64_t part);  // part >= 1
int64_t PartCount(int64_t size);                                           // head included

}  // namespace reflux
