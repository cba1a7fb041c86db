// What the machine of a cache has for targets: its drive, its memory. Torch-free.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "planner/drive_speed.h"
#include "planner/forecast.h"

namespace reflux {

// Of cache servers only `free_disk_bytes` is known, which they tell.
struct MachineMeasure {
  DriveSpeed drive;
  double memory_bytes = 0;     // that may hold pages of files
  double free_disk_bytes = 0;  // that targets may still take

  // Sets the fields of `measured` that are the machine's.
  void ApplyTo(Measured& measured) const;
};

// Of the drive that `folder` is on, which must exist; blocks for some seconds.
absl::StatusOr<MachineMeasure> MeasureMachine(const std::string& folder,
                                              const DriveSpeedOptions& drive);

}  // namespace reflux
