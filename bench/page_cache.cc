#include "bench/page_cache.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <set>
#include <system_error>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace reflux {
namespace {

absl::StatusOr<int64_t> CachedBytes(int fd, int64_t size) {
  const auto length = static_cast<size_t>(size), page = static_cast<size_t>(getpagesize());
  void* mapped = mmap(nullptr, length, PROT_READ, MAP_SHARED, fd, 0);
  if (mapped == MAP_FAILED) return absl::ErrnoToStatus(errno, "mmap");
  std::vector<unsigned char> resident((length + page - 1) / page);
  const int failed = mincore(mapped, length, resident.data());
  munmap(mapped, length);
  if (failed != 0) return absl::ErrnoToStatus(errno, "mincore");
  int64_t pages = 0;
  for (const unsigned char one : resident) pages += one & 1;
  return std::min(size, pages * static_cast<int64_t>(page));
}

absl::Status Add(const std::string& path, std::set<ino_t>& seen, CachedFiles& sum) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return errno == ENOENT ? absl::OkStatus() : absl::ErrnoToStatus(errno, path);
  struct stat file {};
  const bool counts = fstat(fd, &file) == 0 && file.st_size > 0 && seen.insert(file.st_ino).second;
  const auto cached = counts ? CachedBytes(fd, file.st_size) : absl::StatusOr<int64_t>(0);
  close(fd);
  REFLUX_RETURN_IF_ERROR(cached.status());
  if (counts) sum.bytes += file.st_size;
  sum.cached_bytes += *cached;
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<CachedFiles> LookAtPageCache(const std::string& folder) {
  namespace fs = std::filesystem;
  CachedFiles sum;
  std::set<ino_t> seen;
  std::error_code error;
  for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error)) {
    std::error_code gone;
    if (it->is_regular_file(gone)) REFLUX_RETURN_IF_ERROR(Add(it->path(), seen, sum));
  }
  if (error) return absl::InternalError(absl::StrCat(folder, ": ", error.message()));
  return sum;
}

}  // namespace reflux
