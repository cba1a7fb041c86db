#include "planner/drive_speed.h"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/counter_random.h"
#include "common/base/file.h"
#include "common/base/status_macros.h"

namespace reflux {
namespace {

constexpr int64_t kBlock = int64_t{4} << 20;
constexpr size_t kAlignment = 4096;
constexpr double kSlowed = 0.7;

// A file that is gone when this is.
class ScratchFile {
 public:
  explicit ScratchFile(const std::string& folder)
      : path_(absl::StrCat(folder, "/drive-speed.", getpid())) {}
  ~ScratchFile() {
    if (descriptor_ >= 0) close(descriptor_);
    unlink(path_.c_str());
  }
  // With O_DIRECT where the file system has it.
  absl::Status Open(DriveSpeed& speed) {
    const int flags = O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC;
    descriptor_ = open(path_.c_str(), flags | O_DIRECT, 0600);
    if (descriptor_ < 0 && errno == EINVAL) {
      speed.past_page_cache = false;
      descriptor_ = open(path_.c_str(), flags, 0600);
    }
    return descriptor_ < 0 ? ErrnoStatus(errno, "cannot create", path_) : absl::OkStatus();
  }
  int descriptor() const { return descriptor_; }
  const std::string& path() const { return path_; }

 private:
  const std::string path_;
  int descriptor_ = -1;
};

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};
using Block = std::unique_ptr<char, Free>;

// Bytes that no drive compresses.
Block MakeBlock() {
  Block block(static_cast<char*>(std::aligned_alloc(kAlignment, kBlock)));
  const CounterRandom random(1, "drive speed");
  auto* words = reinterpret_cast<uint64_t*>(block.get());
  for (int64_t i = 0; i < kBlock / 8; ++i) words[i] = random.Below(INT64_MAX, i);
  return block;
}

// Moves up to `blocks` blocks, each by `move`; seconds of each.
template <typename MoveFn>
absl::StatusOr<std::vector<double>> Time(int64_t blocks, absl::Duration limit,
                                         const std::string& path, MoveFn move) {
  std::vector<double> seconds;
  const absl::Time end = absl::Now() + limit;
  for (int64_t i = 0; i < blocks && (i < 4 || absl::Now() < end); ++i) {
    const absl::Time start = absl::Now();
    const ssize_t moved = move(i * kBlock);
    if (moved < 0) return ErrnoStatus(errno, "cannot use", path);
    if (moved != kBlock) return absl::ResourceExhaustedError(absl::StrCat(path, ": short write"));
    seconds.push_back(absl::ToDoubleSeconds(absl::Now() - start));
  }
  return seconds;
}

// Bytes a second of seconds[begin, end).
double Rate(const std::vector<double>& seconds, size_t begin, size_t end) {
  double sum = 1e-9;
  for (size_t i = begin; i < end; ++i) sum += seconds[i];
  return static_cast<double>(end - begin) * kBlock / sum;
}

}  // namespace

absl::StatusOr<DriveSpeed> MeasureDriveSpeed(const std::string& folder,
                                             const DriveSpeedOptions& options) {
  struct statvfs info {};
  if (statvfs(folder.c_str(), &info) != 0) return ErrnoStatus(errno, "cannot use", folder);
  const auto free = static_cast<int64_t>(info.f_bavail) * static_cast<int64_t>(info.f_frsize);
  const int64_t blocks = std::min(options.bytes, free / 10) / kBlock;
  if (blocks < 4) return absl::ResourceExhaustedError(absl::StrCat(folder, ": no room to measure"));
  DriveSpeed speed;
  ScratchFile file(folder);
  REFLUX_RETURN_IF_ERROR(file.Open(speed));
  const Block block = MakeBlock();
  const int descriptor = file.descriptor();
  REFLUX_ASSIGN_OR_RETURN(
      std::vector<double> written, Time(blocks, options.limit, file.path(), [&](int64_t at) {
        const ssize_t moved = pwrite(descriptor, block.get(), kBlock, at);
        // Each block reaches the drive before the next, as far as the drive tells.
        return moved == kBlock && fdatasync(descriptor) != 0 ? ssize_t{-1} : moved;
      }));
  const size_t quarter = written.size() / 4;
  const double first = Rate(written, 0, quarter);
  const double last = Rate(written, written.size() - quarter, written.size());
  speed.slowed = last < kSlowed * first;
  speed.write = speed.slowed ? last : Rate(written, 0, written.size());
  speed.bytes = static_cast<int64_t>(written.size()) * kBlock;
  REFLUX_ASSIGN_OR_RETURN(
      const std::vector<double> read,
      Time(static_cast<int64_t>(written.size()), options.limit, file.path(),
           [&](int64_t at) { return pread(descriptor, block.get(), kBlock, at); }));
  speed.read = Rate(read, 0, read.size());
  return speed;
}

}  // namespace reflux
