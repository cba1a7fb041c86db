// Bytes at an offset, of a file or of memory: what the readers of foreign files stand on.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace reflux {

// Thread-safe.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // For messages.
  virtual const std::string& name() const = 0;
  virtual uint64_t size() const = 0;
  // Copies `bytes` bytes from `offset` to `out`. DataLoss when they do not lie within size() or the
  // file has shrunk. Blocks on the disk.
  virtual absl::Status Read(uint64_t offset, uint64_t bytes, char* out) const = 0;
  // The same as a string; ResourceExhausted above `limit`, before anything is allocated.
  absl::StatusOr<std::string> ReadString(uint64_t offset, uint64_t bytes, uint64_t limit) const;
};

// NotFound or PermissionDenied; InvalidArgument when `path` is not a regular file.
absl::StatusOr<std::shared_ptr<const ByteSource>> OpenByteSource(const std::string& path);
std::shared_ptr<const ByteSource> BytesInMemory(std::string name, std::string bytes);

}  // namespace reflux
