// Which losses of a job read a teacher, by reflection: those whose block has a field `teacher`.
// Thread-safe.
#pragma once

#include <string>
#include <vector>

#include "reflux/v1/config.pb.h"

namespace reflux {

struct LossTeacher {
  std::string loss, teacher;  // "icsd" or "own.NAME", "default"
};

// The losses that are present and read a teacher, in the order of their fields.
std::vector<LossTeacher> TeachersOfLosses(const v1::LossesSpec& losses);

// Leaves the losses that need no teacher.
void RemoveTeacherLosses(v1::LossesSpec& losses);

// The losses that are present and have a field `tap`: {loss, tap}.
struct LossTap {
  std::string loss, tap;
};
std::vector<LossTap> TapsOfLosses(const v1::LossesSpec& losses);

}  // namespace reflux
