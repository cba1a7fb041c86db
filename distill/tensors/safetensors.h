// Reads and writes safetensors files: named tensors with a map of strings beside them.
//
// Format (huggingface.co/docs/safetensors): 8 bytes little-endian header length, a JSON header
// {"name": {"dtype", "shape", "data_offsets": [begin, end]}, "__metadata__": {string: string}},
// then the tensors' bytes without gaps. Dtypes: F64 F32 F16 BF16 I64 I32 U8 BOOL. A file is hostile
// until proven otherwise: every length is checked against the file's size before it is allocated.
#pragma once

#include <torch/types.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace reflux {

using NamedTensors = std::map<std::string, torch::Tensor>;
using StringMap = std::map<std::string, std::string>;

// An open file. Holds the header and a file descriptor, not the tensors. Thread-safe.
class SafetensorsFile {
 public:
  struct Entry {
    torch::Dtype dtype = torch::kFloat32;
    std::vector<int64_t> shape;
    uint64_t begin = 0, end = 0;  // bytes from the file's start
  };
  static constexpr uint64_t kMaxHeaderBytes = uint64_t{16} << 20;

  // NotFound when the file cannot be opened; DataLoss when it is truncated or breaks the format;
  // Unimplemented for a dtype not listed above.
  static absl::StatusOr<SafetensorsFile> Open(const std::string& path);

  const std::string& path() const { return path_; }
  const StringMap& metadata() const { return metadata_; }
  const std::map<std::string, Entry>& entries() const { return entries_; }
  bool Contains(const std::string& name) const { return entries_.count(name) > 0; }
  std::vector<std::string> names() const;

  // A copy of the tensor on the CPU, owned by the caller. NotFound names the file and the tensor;
  // DataLoss when the file has shrunk since it was opened. Blocks on the disk.
  absl::StatusOr<torch::Tensor> Load(const std::string& name) const;
  absl::StatusOr<NamedTensors> LoadAll() const;

 private:
  SafetensorsFile() = default;
  absl::Status ReadHeader();

  std::string path_;
  std::shared_ptr<const int> fd_;
  StringMap metadata_;
  std::map<std::string, Entry> entries_;
};

// Writes `tensors` (any device; copied) and `metadata` to `path`, which appears whole or not at
// all (common/base/safetensors_writer.h). The same content gives the same bytes. InvalidArgument
// for a dtype not listed above, otherwise Internal with the system's reason.
absl::Status WriteSafetensors(const std::string& path, const NamedTensors& tensors,
                              const StringMap& metadata = {});

}  // namespace reflux
