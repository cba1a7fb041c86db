#include "common/spec/job_teachers.h"

#include "common/spec/loss_fields.h"

namespace reflux {

bool NeedsTeacher(const v1::LossesSpec& losses) { return !TeachersOfLosses(losses).empty(); }

std::string TeacherNamed(const v1::JobSpec& spec, const std::string& name) {
  if (spec.teachers().contains(name)) return name;
  const bool means_default = name.empty() || name == "default";
  return means_default && spec.teachers_size() == 1 ? spec.teachers().begin()->first : "";
}

std::set<std::string> UsedTeachers(const v1::JobSpec& spec) {
  std::set<std::string> used;
  for (const auto& [loss, teacher] : TeachersOfLosses(spec.losses())) {
    used.insert(TeacherNamed(spec, teacher));
  }
  used.erase("");
  return used;
}

std::vector<std::string> NetworksOf(const v1::JobSpec& spec, const std::string& name) {
  const v1::TeacherSpec& teacher = spec.teachers().at(name);
  if (teacher.ensemble().empty()) return {name};
  return {teacher.ensemble().begin(), teacher.ensemble().end()};
}

}  // namespace reflux
