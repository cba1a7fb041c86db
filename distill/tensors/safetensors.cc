#include "distill/tensors/safetensors.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/safetensors_writer.h"
#include "common/base/status_macros.h"

namespace reflux {
namespace {

using nlohmann::json;
constexpr char kMetadata[] = "__metadata__";

struct DTypeName {
  const char* name;
  torch::Dtype dtype;
};
const std::array<DTypeName, 8> kDTypes = {{{"F64", torch::kFloat64},
                                           {"F32", torch::kFloat32},
                                           {"F16", torch::kFloat16},
                                           {"BF16", torch::kBFloat16},
                                           {"I64", torch::kInt64},
                                           {"I32", torch::kInt32},
                                           {"U8", torch::kUInt8},
                                           {"BOOL", torch::kBool}}};

absl::Status Broken(const std::string& path, absl::string_view what) {
  return absl::DataLossError(absl::StrCat(path, ": not a valid safetensors file: ", what));
}

absl::Status SystemError(absl::string_view what, const std::string& path) {
  return absl::InternalError(absl::StrCat("cannot ", what, " ", path, ": ", std::strerror(errno)));
}

absl::Status ReadAt(int fd, const std::string& path, uint64_t offset, void* out, uint64_t bytes) {
  auto* cursor = static_cast<char*>(out);
  while (bytes > 0) {
    const ssize_t n = pread(fd, cursor, bytes, static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return SystemError("read", path);
    if (n == 0) return Broken(path, "truncated");
    cursor += n, offset += n, bytes -= n;
  }
  return absl::OkStatus();
}

// Bytes of a tensor, or nothing on overflow. An empty dimension does not excuse huge other ones:
// LibTorch would throw on their strides.
std::optional<uint64_t> ByteCount(const std::vector<int64_t>& shape, torch::Dtype dtype) {
  int64_t bytes = torch::elementSize(dtype);
  bool empty = false;
  for (const int64_t size : shape) {
    empty |= size == 0;
    if (__builtin_mul_overflow(bytes, std::max<int64_t>(size, 1), &bytes)) return {};
  }
  return empty ? 0 : bytes;
}

absl::StatusOr<SafetensorsFile::Entry> ParseEntry(const std::string& path, const std::string& name,
                                                  const json& value) {
  const auto field = [&](const char* key) {
    return value.is_object() && value.contains(key) ? value.at(key) : json();
  };
  const json dtype = field("dtype"), shape = field("shape"), offsets = field("data_offsets");
  const auto naturals = [](const json& list) {
    return list.is_array() && std::all_of(list.begin(), list.end(), [](const json& x) {
             return x.is_number_unsigned() && x.get<uint64_t>() <= INT64_MAX;
           });
  };
  if (!dtype.is_string() || !naturals(shape) || !naturals(offsets) || offsets.size() != 2 ||
      shape.size() > 8) {
    return Broken(path, absl::StrCat("header entry of '", name, "' is malformed"));
  }
  SafetensorsFile::Entry entry;
  const auto known = std::find_if(kDTypes.begin(), kDTypes.end(),
                                  [&](const DTypeName& d) { return dtype == d.name; });
  if (known == kDTypes.end()) {
    return absl::UnimplementedError(absl::StrCat(path, ": tensor '", name, "' has dtype ",
                                                 dtype.get<std::string>(),
                                                 ", which is not supported"));
  }
  entry.dtype = known->dtype;
  entry.shape = shape.get<std::vector<int64_t>>();
  entry.begin = offsets[0].get<uint64_t>();
  entry.end = offsets[1].get<uint64_t>();
  const auto bytes = ByteCount(entry.shape, entry.dtype);
  if (!bytes || entry.begin > entry.end || entry.end - entry.begin != *bytes) {
    return Broken(path, absl::StrCat("size of '", name, "' contradicts its shape"));
  }
  return entry;
}

// The tensors must tile the data area: no gap, no overlap, nothing beyond the end.
absl::Status CheckTiling(const std::string& path,
                         const std::map<std::string, SafetensorsFile::Entry>& entries,
                         uint64_t data_bytes) {
  std::vector<std::pair<uint64_t, uint64_t>> ranges;
  for (const auto& [name, entry] : entries) ranges.emplace_back(entry.begin, entry.end);
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

}  // namespace

absl::StatusOr<SafetensorsFile> SafetensorsFile::Open(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return absl::NotFoundError(absl::StrCat("cannot open ", path, ": ", std::strerror(errno)));
  }
  SafetensorsFile file;
  file.path_ = path;
  file.fd_ = std::shared_ptr<const int>(new int(fd), [](const int* p) {
    close(*p);
    delete p;
  });
  REFLUX_RETURN_IF_ERROR(file.ReadHeader());
  return file;
}

absl::Status SafetensorsFile::ReadHeader() {
  struct stat info;
  if (fstat(*fd_, &info) != 0) return SystemError("stat", path_);
  if (!S_ISREG(info.st_mode)) return Broken(path_, "not a regular file");
  const uint64_t file_bytes = info.st_size;
  uint64_t length = 0;
  if (file_bytes < sizeof(length)) return Broken(path_, "shorter than 8 bytes");
  REFLUX_RETURN_IF_ERROR(ReadAt(*fd_, path_, 0, &length, sizeof(length)));
  if (length > kMaxHeaderBytes || length > file_bytes - sizeof(length)) {
    return Broken(path_, absl::StrCat("header length ", length, " exceeds the file or the limit"));
  }
  std::string text(length, '\0');
  REFLUX_RETURN_IF_ERROR(ReadAt(*fd_, path_, sizeof(length), text.data(), length));
  const json header = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!header.is_object()) return Broken(path_, "header is not a JSON object");
  for (const auto& [name, value] : header.items()) {
    if (name == kMetadata) {
      if (!value.is_object()) return Broken(path_, "__metadata__ is not an object");
      for (const auto& [key, text_value] : value.items()) {
        if (!text_value.is_string()) return Broken(path_, "__metadata__ holds a non-string");
        metadata_[key] = text_value.get<std::string>();
      }
      continue;
    }
    REFLUX_ASSIGN_OR_RETURN(entries_[name], ParseEntry(path_, name, value));
  }
  const uint64_t data_begin = sizeof(length) + length;
  REFLUX_RETURN_IF_ERROR(CheckTiling(path_, entries_, file_bytes - data_begin));
  for (auto& [name, entry] : entries_) entry.begin += data_begin, entry.end += data_begin;
  return absl::OkStatus();
}

std::vector<std::string> SafetensorsFile::names() const {
  std::vector<std::string> names;
  for (const auto& [name, entry] : entries_) names.push_back(name);
  return names;
}

absl::StatusOr<torch::Tensor> SafetensorsFile::Load(const std::string& name) const {
  const auto found = entries_.find(name);
  if (found == entries_.end()) {
    return absl::NotFoundError(absl::StrCat(path_, ": no tensor '", name, "'"));
  }
  const Entry& entry = found->second;
  torch::Tensor tensor = torch::empty(entry.shape, entry.dtype);
  REFLUX_RETURN_IF_ERROR(
      ReadAt(*fd_, path_, entry.begin, tensor.data_ptr(), entry.end - entry.begin));
  return tensor;
}

absl::StatusOr<NamedTensors> SafetensorsFile::LoadAll() const {
  NamedTensors tensors;
  for (const auto& [name, entry] : entries_) {
    REFLUX_ASSIGN_OR_RETURN(tensors[name], Load(name));
  }
  return tensors;
}

absl::Status WriteSafetensors(const std::string& path, const NamedTensors& tensors,
                              const StringMap& metadata) {
  std::vector<torch::Tensor> kept;  // owns the bytes
  std::vector<TensorBytes> listed;
  for (const auto& [name, tensor] : tensors) {
    kept.push_back(tensor.detach().to(torch::kCPU).contiguous());
    const torch::Tensor& bytes = kept.back();
    const auto known = std::find_if(kDTypes.begin(), kDTypes.end(), [&](const DTypeName& d) {
      return bytes.scalar_type() == d.dtype;
    });
    listed.push_back({name,
                      known != kDTypes.end() ? known->name : torch::toString(bytes.scalar_type()),
                      bytes.sizes().vec(),
                      {static_cast<const char*>(bytes.data_ptr()), bytes.nbytes()}});
  }
  return WriteSafetensorsFile(path, std::move(listed), metadata);
}

}  // namespace reflux
