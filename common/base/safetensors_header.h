// Reads the header of a safetensors file without torch (the format: safetensors_writer.h). A file
// is hostile until proven otherwise: every length is checked against the file's size before
// anything of that size is allocated, and the tensors must tile the bytes after the header.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace reflux {

struct SafetensorsEntry {
  std::string dtype;  // one that SafetensorsElementSize knows
  std::vector<int64_t> shape;
  uint64_t begin = 0, end = 0;  // bytes from the file's start
};

struct SafetensorsHeader {
  std::map<std::string, std::string> metadata;
  std::map<std::string, SafetensorsEntry> entries;
};

// Copies `bytes` bytes from `offset` to `out`, or says why not.
using SafetensorsRead = std::function<absl::Status(uint64_t offset, uint64_t bytes, char* out)>;

// Of a file of `file_bytes`, which messages call `path`. DataLoss when it is truncated, breaks the
// format or has a header of over `max_header_bytes`; Unimplemented for an unknown dtype; the errors
// of `read`.
absl::StatusOr<SafetensorsHeader> ReadSafetensorsHeader(const std::string& path,
                                                        uint64_t file_bytes,
                                                        uint64_t max_header_bytes,
                                                        const SafetensorsRead& read);

}  // namespace reflux
