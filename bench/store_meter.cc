#include "bench/store_meter.h"

#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>

#include "bench/cpu_time.h"
#include "common/base/status_macros.h"

namespace reflux {

int64_t WrittenBytes() {
  std::ifstream io("/proc/self/io");
  std::string name;
  int64_t value = 0;
  while (io >> name >> value) {
    if (name == "wchar:") return value;
  }
  return 0;
}

int64_t ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  int64_t size = 0, resident = 0;
  statm >> size >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

int64_t FilesIn(const std::string& folder) {
  int64_t files = 0;
  std::error_code error;
  for (const auto& file : std::filesystem::recursive_directory_iterator(folder, error)) {
    files += file.is_regular_file(error) ? 1 : 0;
  }
  return files;
}

absl::StatusOr<StoreRow> Measure(const std::string& name, const std::string& folder,
                                 const std::function<absl::StatusOr<int64_t>()>& step,
                                 const std::function<absl::Status()>& settle) {
  StoreRow row{.name = name};
  const int64_t written = WrittenBytes();
  const double cpu = OwnCpuSeconds();
  const auto start = std::chrono::steady_clock::now();
  REFLUX_ASSIGN_OR_RETURN(row.bytes, step());
  row.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (settle != nullptr) REFLUX_RETURN_IF_ERROR(settle());
  row.cpu_seconds = OwnCpuSeconds() - cpu;
  if (row.bytes > 0) {
    row.write_amplification =
        static_cast<double>(WrittenBytes() - written) / static_cast<double>(row.bytes);
  }
  row.files = FilesIn(folder);
  row.memory_bytes = ResidentBytes();
  return row;
}

}  // namespace reflux
