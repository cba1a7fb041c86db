#include "common/base/safetensors_writer.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "common/base/atomic_file.h"
#include "common/base/status_macros.h"

namespace reflux {
namespace {

using nlohmann::json;
constexpr char kMetadata[] = "__metadata__";

absl::Status Refused(const std::string& path, const TensorBytes& tensor, absl::string_view why) {
  return absl::InvalidArgumentError(
      absl::StrCat("cannot write ", path, ": tensor '", tensor.name, "' ", why));
}

absl::Status Check(const std::string& path, const TensorBytes& tensor) {
  int64_t bytes = SafetensorsElementSize(tensor.dtype);
  if (bytes == 0 || tensor.name == kMetadata) {
    return Refused(path, tensor,
                   absl::StrCat("has a reserved name or the dtype ", tensor.dtype,
                                ", which is not supported"));
  }
  for (const int64_t side : tensor.shape) {
    if (side < 0 || __builtin_mul_overflow(bytes, side, &bytes)) bytes = -1;
  }
  if (bytes != static_cast<int64_t>(tensor.bytes.size())) {
    return Refused(path, tensor, "has another number of bytes than its shape needs");
  }
  return absl::OkStatus();
}

// Widest elements first, so that every tensor is aligned to its element size.
void PutInFileOrder(std::vector<TensorBytes>& tensors) {
  std::sort(tensors.begin(), tensors.end(), [](const TensorBytes& a, const TensorBytes& b) {
    return std::make_tuple(-SafetensorsElementSize(a.dtype), a.name) <
           std::make_tuple(-SafetensorsElementSize(b.dtype), b.name);
  });
}

absl::StatusOr<std::string> EncodeHeader(const std::string& path,
                                         const std::vector<TensorBytes>& tensors,
                                         const std::map<std::string, std::string>& metadata) {
  json header = json::object();
  if (!metadata.empty()) header[kMetadata] = metadata;
  uint64_t offset = 0;
  for (const TensorBytes& tensor : tensors) {
    if (header.contains(tensor.name)) return Refused(path, tensor, "comes twice");
    const uint64_t end = offset + tensor.bytes.size();
    header[tensor.name] = {
        {"dtype", tensor.dtype}, {"shape", tensor.shape}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text = header.dump(-1, ' ', false, json::error_handler_t::replace);
  text.resize((text.size() + 7) / 8 * 8, ' ');
  return text;
}

std::string LittleEndian64(uint64_t value) {
  std::string bytes;
  for (int shift = 0; shift < 64; shift += 8) bytes.push_back(static_cast<char>(value >> shift));
  return bytes;
}

}  // namespace

int64_t SafetensorsElementSize(absl::string_view dtype) {
  if (dtype == "F64" || dtype == "I64") return 8;
  if (dtype == "F32" || dtype == "I32") return 4;
  if (dtype == "F16" || dtype == "BF16") return 2;
  return dtype == "U8" || dtype == "BOOL" ? 1 : 0;
}

absl::Status WriteSafetensorsFile(const std::string& path, std::vector<TensorBytes> tensors,
                                  const std::map<std::string, std::string>& metadata) {
  for (const TensorBytes& tensor : tensors) REFLUX_RETURN_IF_ERROR(Check(path, tensor));
  PutInFileOrder(tensors);
  REFLUX_ASSIGN_OR_RETURN(const std::string header, EncodeHeader(path, tensors, metadata));
  REFLUX_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::Create(path));
  REFLUX_RETURN_IF_ERROR(file.Append(LittleEndian64(header.size())));
  REFLUX_RETURN_IF_ERROR(file.Append(header));
  for (const TensorBytes& tensor : tensors) REFLUX_RETURN_IF_ERROR(file.Append(tensor.bytes));
  return file.Publish();
}

}  // namespace reflux
