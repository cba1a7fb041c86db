#include "planner/measure_machine.h"

#include <sys/statvfs.h>

#include <fstream>

#include "common/base/status_macros.h"

namespace reflux {
namespace {

double MemoryForPages() {
  std::ifstream file("/proc/meminfo");
  std::string name, unit;
  double kib = 0;
  while (file >> name >> kib) {
    std::getline(file, unit);
    if (name == "MemAvailable:") return kib * 1024;
  }
  return 0;
}

double FreeDisk(const std::string& folder) {
  struct statvfs info {};
  if (statvfs(folder.c_str(), &info) != 0) return 0;
  return static_cast<double>(info.f_bavail) * static_cast<double>(info.f_frsize);
}

}  // namespace

void MachineMeasure::ApplyTo(Measured& measured) const {
  measured.drive_write = drive.write;
  measured.drive_read = drive.read;
  measured.memory_bytes = memory_bytes;
  measured.free_disk_bytes = free_disk_bytes;
}

absl::StatusOr<MachineMeasure> MeasureMachine(const std::string& folder,
                                              const DriveSpeedOptions& drive) {
  MachineMeasure machine{.memory_bytes = MemoryForPages(), .free_disk_bytes = FreeDisk(folder)};
  REFLUX_ASSIGN_OR_RETURN(machine.drive, MeasureDriveSpeed(folder, drive));
  return machine;
}

}  // namespace reflux
