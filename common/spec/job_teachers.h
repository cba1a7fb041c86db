// Which teachers the losses of a job distil from. Thread-safe, no I/O.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "reflux/v1/config.pb.h"

namespace reflux {

// Whether some loss reads a teacher.
bool NeedsTeacher(const v1::LossesSpec& losses);

// What `name`, as a loss gives it, is called in `spec.teachers()`: itself, or for "default" and ""
// the only teacher that there is. Empty when there is no such teacher.
std::string TeacherNamed(const v1::JobSpec& spec, const std::string& name);

// What the losses name, as keys of `spec.teachers()`; names of no teacher are left out.
std::set<std::string> UsedTeachers(const v1::JobSpec& spec);

// The teachers with a checkpoint that `name`, a key of `spec.teachers()`, is made of: itself, or
// the members of an ensemble in order.
std::vector<std::string> NetworksOf(const v1::JobSpec& spec, const std::string& name);

}  // namespace reflux
