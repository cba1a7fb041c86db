#include "distill/checkpoint/byte_source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/file.h"
#include "common/base/status_macros.h"

namespace reflux {
namespace {

absl::Status CheckRange(const ByteSource& source, uint64_t offset, uint64_t bytes) {
  if (offset <= source.size() && bytes <= source.size() - offset) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(source.name(), ": truncated: ", bytes,
                                          " bytes wanted at offset ", offset, ", the file has ",
                                          source.size()));
}

class FileSource : public ByteSource {
 public:
  FileSource(std::string name, int fd) : name_(std::move(name)), fd_(fd) {}
  ~FileSource() override { close(fd_); }

  absl::Status Open() {
    struct stat info;
    if (fstat(fd_, &info) != 0) return ErrnoStatus(errno, "cannot stat", name_);
    if (!S_ISREG(info.st_mode)) {
      return absl::InvalidArgumentError(absl::StrCat(name_, ": not a regular file"));
    }
    size_ = info.st_size;
    return absl::OkStatus();
  }

  const std::string& name() const override { return name_; }
  uint64_t size() const override { return size_; }

  absl::Status Read(uint64_t offset, uint64_t bytes, char* out) const override {
    REFLUX_RETURN_IF_ERROR(CheckRange(*this, offset, bytes));
    while (bytes > 0) {
      const ssize_t n = pread(fd_, out, bytes, static_cast<off_t>(offset));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return ErrnoStatus(errno, "cannot read", name_);
      if (n == 0) return absl::DataLossError(absl::StrCat(name_, ": it shrank while being read"));
      out += n, offset += n, bytes -= n;
    }
    return absl::OkStatus();
  }

 private:
  std::string name_;
  int fd_;
  uint64_t size_ = 0;
};

class MemorySource : public ByteSource {
 public:
  MemorySource(std::string name, std::string bytes)
      : name_(std::move(name)), bytes_(std::move(bytes)) {}
  const std::string& name() const override { return name_; }
  uint64_t size() const override { return bytes_.size(); }
  absl::Status Read(uint64_t offset, uint64_t bytes, char* out) const override {
    REFLUX_RETURN_IF_ERROR(CheckRange(*this, offset, bytes));
    if (bytes > 0) std::memcpy(out, bytes_.data() + offset, bytes);
    return absl::OkStatus();
  }

 private:
  std::string name_, bytes_;
};

}  // namespace

absl::StatusOr<std::string> ByteSource::ReadString(uint64_t offset, uint64_t bytes,
                                                   uint64_t limit) const {
  REFLUX_RETURN_IF_ERROR(CheckRange(*this, offset, bytes));
  if (bytes > limit) {
    return absl::ResourceExhaustedError(absl::StrCat(name(), ": ", bytes, " bytes at offset ",
                                                     offset, " exceed the limit ", limit));
  }
  std::string text(bytes, '\0');
  REFLUX_RETURN_IF_ERROR(Read(offset, bytes, text.data()));
  return text;
}

absl::StatusOr<std::shared_ptr<const ByteSource>> OpenByteSource(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return ErrnoStatus(errno, "cannot open", path);
  auto source = std::make_shared<FileSource>(path, fd);
  REFLUX_RETURN_IF_ERROR(source->Open());
  return source;
}

std::shared_ptr<const ByteSource> BytesInMemory(std::string name, std::string bytes) {
  return std::make_shared<MemorySource>(std::move(name), std::move(bytes));
}

}  // namespace reflux
