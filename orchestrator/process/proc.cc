#include "orchestrator/process/proc.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace reflux {
namespace {

// Files of /proc have no size, so common/base/file.h cannot read them.
std::string ReadProc(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

// The fields of /proc/PID/stat from the third (state) on; the second may hold spaces.
std::vector<std::string> StatFields(pid_t pid) {
  const std::string stat = ReadProc(absl::StrCat("/proc/", pid, "/stat"));
  const size_t end_of_name = stat.rfind(')');
  if (end_of_name == std::string::npos) return {};
  return absl::StrSplit(stat.substr(end_of_name + 2), ' ');
}

template <typename Matches>
std::vector<pid_t> Processes(Matches matches) {
  std::vector<pid_t> found;
  std::error_code error;
  for (std::filesystem::directory_iterator entry("/proc", error), end; !error && entry != end;
       entry.increment(error)) {
    pid_t pid = 0;
    if (absl::SimpleAtoi(entry->path().filename().string(), &pid) && matches(pid)) {
      found.push_back(pid);
    }
  }
  return found;
}

}  // namespace

absl::StatusOr<uint64_t> ProcessStartTime(pid_t pid) {
  constexpr size_t kStartTime = 22 - 3;
  const std::vector<std::string> fields = StatFields(pid);
  uint64_t start = 0;
  if (fields.size() <= kStartTime || !absl::SimpleAtoi(fields[kStartTime], &start)) {
    return absl::NotFoundError(absl::StrCat("no process ", pid));
  }
  return start;
}

std::vector<pid_t> ChildrenOf(pid_t parent) {
  return Processes([parent](pid_t pid) {
    const std::vector<std::string> fields = StatFields(pid);
    return fields.size() > 1 && fields[1] == absl::StrCat(parent);
  });
}

std::vector<pid_t> ProcessesOfLaunch(absl::string_view record) {
  const std::string wanted = absl::StrCat(kLaunchVariable, "=", record);
  return Processes([&wanted](pid_t pid) {
    for (absl::string_view variable :
         absl::StrSplit(ReadProc(absl::StrCat("/proc/", pid, "/environ")), '\0')) {
      if (variable == wanted) return true;
    }
    return false;
  });
}

int PidfdOpen(pid_t pid) { return static_cast<int>(syscall(SYS_pidfd_open, pid, 0)); }

int PidfdSignal(int pidfd, int signal) {
  return static_cast<int>(syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0));
}

}  // namespace reflux
