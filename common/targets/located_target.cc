#include "common/targets/located_target.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/file.h"
#include "common/base/status_macros.h"

namespace reflux {
namespace {

class OpenFile {
 public:
  // Never waits, whatever stands there.
  explicit OpenFile(const std::string& path)
      : fd_(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)) {}
  ~OpenFile() {
    if (fd_ >= 0) close(fd_);
  }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  int fd() const { return fd_; }

 private:
  const int fd_;
};

absl::Status CheckHolds(int fd, const TargetLocation& location) {
  struct stat found {};
  if (fstat(fd, &found) != 0) return ErrnoStatus(errno, "cannot read", location.path);
  if (!S_ISREG(found.st_mode)) {
    return absl::FailedPreconditionError(absl::StrCat(location.path, " is no plain file"));
  }
  const auto size = static_cast<uint64_t>(found.st_size);
  if (location.size > size || location.offset > size - location.size) {
    return absl::DataLossError(absl::StrCat(location.path, " is cut short"));
  }
  return absl::OkStatus();
}

absl::Status ReadAt(int fd, char* out, uint64_t offset, uint64_t size) {
  while (size > 0) {
    const ssize_t got = pread(fd, out, size, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return absl::ErrnoToStatus(errno, "reading a stored target");
    if (got == 0) return absl::DataLossError("a stored target's file is cut short");
    out += got;
    offset += static_cast<uint64_t>(got);
    size -= static_cast<uint64_t>(got);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<EncodedTarget> ReadLocated(const EncodedTarget& coming,
                                          const TargetLocation& location, const PlaceFn& place,
                                          BlockPool& blocks) {
  if (location.size > static_cast<uint64_t>(EncodedTarget::kMaxBytes)) {
    return absl::DataLossError("a stored target is over 1 GiB");
  }
  const OpenFile file(location.path);
  if (file.fd() < 0) return ErrnoStatus(errno, "cannot open", location.path);
  REFLUX_RETURN_IF_ERROR(CheckHolds(file.fd(), location));
  return ReadInPieces(coming, location.size, place, blocks,
                      [&](char* out, uint64_t at, uint64_t size) {
                        return ReadAt(file.fd(), out, location.offset + at, size);
                      });
}

}  // namespace reflux
