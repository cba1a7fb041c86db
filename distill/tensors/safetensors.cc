#include "distill/tensors/safetensors.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/safetensors_header.h"
#include "common/base/safetensors_writer.h"
#include "common/base/status_macros.h"

namespace reflux {
namespace {

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

// Of a name that the header's reader has let pass.
torch::Dtype DTypeOf(const std::string& name) {
  return std::find_if(kDTypes.begin(), kDTypes.end(),
                      [&](const DTypeName& d) { return name == d.name; })
      ->dtype;
}

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
  REFLUX_ASSIGN_OR_RETURN(SafetensorsHeader header,
                          ReadSafetensorsHeader(path_, info.st_size, kMaxHeaderBytes,
                                                [&](uint64_t offset, uint64_t bytes, char* out) {
                                                  return ReadAt(*fd_, path_, offset, out, bytes);
                                                }));
  metadata_ = std::move(header.metadata);
  for (auto& [name, entry] : header.entries) {
    entries_[name] = {DTypeOf(entry.dtype), std::move(entry.shape), entry.begin, entry.end};
  }
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
