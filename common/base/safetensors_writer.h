// Writes safetensors files without torch (huggingface.co/docs/safetensors): 8 bytes little-endian
// header length, a JSON header {"name": {"dtype", "shape", "data_offsets": [begin, end]},
// "__metadata__": {string: string}}, then the tensors' bytes without gaps.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace reflux {

struct TensorBytes {
  std::string name;
  std::string dtype;  // F64 F32 F16 BF16 I64 I32 U8 BOOL
  std::vector<int64_t> shape;
  absl::string_view bytes;  // little-endian, row-major; must live until the call returns
};

// Bytes of an element; 0 for a dtype that is not listed above.
int64_t SafetensorsElementSize(absl::string_view dtype);

// `path` appears whole or not at all. The same content gives the same bytes, in whatever order it
// is given. InvalidArgument for an unknown dtype, a name that is reserved or comes twice, and bytes
// that do not fit the shape; otherwise the errors of AtomicFile.
absl::Status WriteSafetensorsFile(const std::string& path, std::vector<TensorBytes> tensors,
                                  const std::map<std::string, std::string>& metadata = {});

}  // namespace reflux
