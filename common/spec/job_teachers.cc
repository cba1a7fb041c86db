#include "common/spec/job_teachers.h"

namespace reflux {

bool NeedsTeacher(const v1::LossesSpec& losses) {
  return losses.has_kd() || losses.has_i2ckd() || losses.has_icsd();
}

std::string TeacherNamed(const v1::JobSpec& spec, const std::string& name) {
  if (spec.teachers().contains(name)) return name;
  const bool means_default = name.empty() || name == "default";
  return means_default && spec.teachers_size() == 1 ? spec.teachers().begin()->first : "";
}

std::set<std::string> UsedTeachers(const v1::JobSpec& spec) {
  const v1::LossesSpec& losses = spec.losses();
  std::set<std::string> used;
  if (losses.has_kd()) used.insert(TeacherNamed(spec, losses.kd().teacher()));
  if (losses.has_i2ckd()) used.insert(TeacherNamed(spec, losses.i2ckd().teacher()));
  if (losses.has_icsd()) used.insert(TeacherNamed(spec, losses.icsd().teacher()));
  used.erase("");
  return used;
}

}  // namespace reflux
