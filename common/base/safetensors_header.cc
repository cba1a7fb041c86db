#include "common/base/safetensors_header.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/base/safetensors_writer.h"
#include "common/base/status_macros.h"

namespace reflux {
namespace {

using nlohmann::json;
constexpr char kMetadata[] = "__metadata__";
constexpr size_t kMaxDimensions = 8;
constexpr uint64_t kLengthBytes = 8;  // before the header

absl::Status Broken(const std::string& path, absl::string_view what) {
  return absl::DataLossError(absl::StrCat(path, ": not a valid safetensors file: ", what));
}

// Bytes of a tensor, or nothing on overflow. An empty dimension does not excuse huge other ones:
// LibTorch would throw on their strides.
std::optional<uint64_t> ByteCount(const SafetensorsEntry& entry) {
  int64_t bytes = SafetensorsElementSize(entry.dtype);
  bool empty = false;
  for (const int64_t size : entry.shape) {
    empty |= size == 0;
    if (__builtin_mul_overflow(bytes, std::max<int64_t>(size, 1), &bytes)) return {};
  }
  return empty ? 0 : bytes;
}

bool AreNaturals(const json& list) {
  return list.is_array() && std::all_of(list.begin(), list.end(), [](const json& x) {
           return x.is_number_unsigned() && x.get<uint64_t>() <= INT64_MAX;
         });
}

absl::StatusOr<SafetensorsEntry> ParseEntry(const std::string& path, const std::string& name,
                                            const json& value) {
  const auto field = [&](const char* key) {
    return value.is_object() && value.contains(key) ? value.at(key) : json();
  };
  const json dtype = field("dtype"), shape = field("shape"), offsets = field("data_offsets");
  if (!dtype.is_string() || !AreNaturals(shape) || !AreNaturals(offsets) || offsets.size() != 2 ||
      shape.size() > kMaxDimensions) {
    return Broken(path, absl::StrCat("header entry of '", name, "' is malformed"));
  }
  const SafetensorsEntry entry{.dtype = dtype.get<std::string>(),
                               .shape = shape.get<std::vector<int64_t>>(),
                               .begin = offsets[0].get<uint64_t>(),
                               .end = offsets[1].get<uint64_t>()};
  if (SafetensorsElementSize(entry.dtype) == 0) {
    return absl::UnimplementedError(absl::StrCat(path, ": tensor '", name, "' has dtype ",
                                                 entry.dtype, ", which is not supported"));
  }
  const auto bytes = ByteCount(entry);
  if (!bytes || entry.begin > entry.end || entry.end - entry.begin != *bytes) {
    return Broken(path, absl::StrCat("size of '", name, "' contradicts its shape"));
  }
  return entry;
}

absl::Status ParseMetadata(const std::string& path, const json& value, SafetensorsHeader& header) {
  if (!value.is_object()) return Broken(path, "__metadata__ is not an object");
  for (const auto& [key, text] : value.items()) {
    if (!text.is_string()) return Broken(path, "__metadata__ holds a non-string");
    header.metadata[key] = text.get<std::string>();
  }
  return absl::OkStatus();
}

// The tensors must tile the data area: no gap, no overlap, nothing beyond the end.
absl::Status CheckTiling(const std::string& path, const SafetensorsHeader& header,
                         uint64_t data_bytes) {
  std::vector<std::pair<uint64_t, uint64_t>> ranges;
  for (const auto& [name, entry] : header.entries) ranges.emplace_back(entry.begin, entry.end);
  std::sort(ranges.begin(), ranges.end());
  uint64_t position = 0;
  for (const auto& [begin, end] : ranges) {
    if (begin != position) return Broken(path, "tensors overlap or leave a gap");
    position = end;
  }
  if (position > data_bytes) return Broken(path, "truncated");
  if (position < data_bytes) return Broken(path, "bytes after the last tensor");
  return absl::OkStatus();
}

// The JSON text behind the eight bytes of its length.
absl::StatusOr<std::string> ReadText(const std::string& path, uint64_t file_bytes,
                                     uint64_t max_header_bytes, const SafetensorsRead& read) {
  uint64_t length = 0;  // little-endian, as are the tensors: this reads them as they are
  if (file_bytes < kLengthBytes) return Broken(path, "shorter than 8 bytes");
  REFLUX_RETURN_IF_ERROR(read(0, kLengthBytes, reinterpret_cast<char*>(&length)));
  if (length > max_header_bytes || length > file_bytes - kLengthBytes) {
    return Broken(path, absl::StrCat("header length ", length, " exceeds the file or the limit"));
  }
  std::string text(length, '\0');
  REFLUX_RETURN_IF_ERROR(read(kLengthBytes, length, text.data()));
  return text;
}

}  // namespace

absl::StatusOr<SafetensorsHeader> ReadSafetensorsHeader(const std::string& path,
                                                        uint64_t file_bytes,
                                                        uint64_t max_header_bytes,
                                                        const SafetensorsRead& read) {
  REFLUX_ASSIGN_OR_RETURN(const std::string text,
                          ReadText(path, file_bytes, max_header_bytes, read));
  const json parsed = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!parsed.is_object()) return Broken(path, "header is not a JSON object");
  SafetensorsHeader header;
  for (const auto& [name, value] : parsed.items()) {
    if (name == kMetadata) {
      REFLUX_RETURN_IF_ERROR(ParseMetadata(path, value, header));
    } else {
      REFLUX_ASSIGN_OR_RETURN(header.entries[name], ParseEntry(path, name, value));
    }
  }
  const uint64_t data_begin = kLengthBytes + text.size();
  REFLUX_RETURN_IF_ERROR(CheckTiling(path, header, file_bytes - data_begin));
  for (auto& [name, entry] : header.entries) entry.begin += data_begin, entry.end += data_begin;
  return header;
}

}  // namespace reflux
