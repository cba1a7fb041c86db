#include "job_plan/open_teacher.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/build_version.h"
#include "common/base/status_macros.h"
#include "distill/teacher/ensemble_source.h"
#include "job_plan/teacher_plan.h"

namespace reflux {
namespace {

absl::StatusOr<OpenedTeacher> OpenNetwork(const v1::TeacherSpec& spec, const v1::DataSpec& data,
                                          const OpenTeacherOptions& options) {
  REFLUX_ASSIGN_OR_RETURN(Teacher teacher, LoadTeacher(spec, data));
  OpenedTeacher opened{.source = nullptr, .identity = teacher.identity};
  opened.bit_exact =
      teacher.identity.numerics.mode == NumericsMode::kExact && teacher.device.is_cpu();
  if (options.evaluate) {
    REFLUX_ASSIGN_OR_RETURN(opened.miou, CheckTeacher(teacher, spec, data, options.cancellation));
    spdlog::info("teacher {} {}: {:.1f} % {} on validation images", teacher.model->architecture(),
                 teacher.identity.digest.Short(), opened.miou,
                 data.format().rfind("cifar", 0) == 0 ? "accuracy" : "mIoU");
  }
  opened.source = MakeLocalSource(std::move(teacher), options.read_image,
                                  {.miou = opened.miou,
                                   .build_version = std::string(BuildVersion()),
                                   .read_label = options.read_label,
                                   .runners = options.runners},
                                  options.metrics);
  return opened;
}

// The member as the ensemble runs it.
v1::TeacherSpec InEnsemble(v1::TeacherSpec member, const v1::TeacherSpec& ensemble) {
  member.set_numerics(ensemble.numerics());
  member.set_threads(ensemble.threads());
  member.set_batch(ensemble.batch());
  member.set_compute(ensemble.compute());
  member.set_device(ensemble.device());
  return member;
}

absl::StatusOr<const v1::TeacherSpec*> Find(const v1::JobSpec& job, const std::string& name) {
  const auto found = job.teachers().find(name);
  if (found != job.teachers().end()) return &found->second;
  return absl::NotFoundError(absl::StrCat("the job file has no teacher '", name, "'"));
}

// Where a job has several teachers, the error says which.
absl::Status Named(const v1::JobSpec& job, const std::string& name, const absl::Status& status) {
  if (status.ok() || job.teachers_size() < 2) return status;
  return absl::Status(
      status.code(),
      absl::StrCat("teachers.", name, ": ", absl::StripPrefix(status.message(), "teacher: ")));
}

absl::StatusOr<OpenedTeacher> OpenEnsemble(const v1::JobSpec& job, const v1::TeacherSpec& spec,
                                           const OpenTeacherOptions& options) {
  std::vector<std::unique_ptr<TargetSource>> members;
  OpenedTeacher opened{.source = nullptr, .identity = {}, .miou = 100, .bit_exact = true};
  for (const std::string& name : spec.ensemble()) {
    REFLUX_ASSIGN_OR_RETURN(const v1::TeacherSpec* member, Find(job, name));
    absl::StatusOr<OpenedTeacher> part =
        OpenNetwork(InEnsemble(*member, spec), job.data(), options);
    if (!part.ok()) return Named(job, name, part.status());
    opened.miou = std::min(opened.miou, part->miou);
    opened.bit_exact = opened.bit_exact && part->bit_exact;
    members.push_back(std::move(part->source));
  }
  REFLUX_ASSIGN_OR_RETURN(opened.source, MakeEnsembleSource(std::move(members)));
  REFLUX_ASSIGN_OR_RETURN(const TeacherInfo info, opened.source->GetTeacherInfo({}));
  opened.identity = info.identity;
  spdlog::info("teacher {} {}", info.model, opened.identity.digest.Short());
  return opened;
}

}  // namespace

absl::StatusOr<OpenedTeacher> OpenTeacher(const v1::JobSpec& job, const std::string& name,
                                          const OpenTeacherOptions& options) {
  REFLUX_ASSIGN_OR_RETURN(const v1::TeacherSpec* spec, Find(job, name));
  if (!spec->ensemble().empty()) return OpenEnsemble(job, *spec, options);
  absl::StatusOr<OpenedTeacher> opened = OpenNetwork(*spec, job.data(), options);
  if (!opened.ok()) return Named(job, name, opened.status());
  return opened;
}

}  // namespace reflux
