#include "planner/teacher_needs.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "common/base/status_macros.h"
#include "common/spec/job_teachers.h"
#include "common/targets/reduction.h"
#include "distill/checkpoint/scripted_model.h"
#include "distill/data/label_file.h"
#include "distill/data/manifest.h"
#include "distill/models/build_model.h"
#include "job_plan/data_plan.h"
#include "job_plan/loss_plan.h"
#include "job_plan/open_teacher.h"
#include "job_plan/student_plan.h"
#include "planner/job_samples.h"

namespace reflux {
namespace {

absl::StatusOr<std::vector<TeacherNeeds>> PlanTeachers(const v1::JobSpec& spec,
                                                       const SegmentationModel& student,
                                                       const TeacherInfoFn& describe) {
  TeacherInfos infos;
  for (const std::string& name : UsedTeachers(spec)) {
    REFLUX_ASSIGN_OR_RETURN(infos[name], describe(name, spec));
  }
  REFLUX_ASSIGN_OR_RETURN(const std::shared_ptr<LossSet> losses, PlanLosses(spec, student, infos));
  std::vector<TeacherNeeds> teachers;
  for (const auto& [name, info] : infos) {
    TeacherNeeds needs{.name = name, .info = info};
    REFLUX_ASSIGN_OR_RETURN(needs.specs, PlanTargetSpecs(spec.targets(), *losses, name));
    teachers.push_back(std::move(needs));
  }
  return teachers;
}

bool AnyReadsLabels(const std::vector<TeacherNeeds>& teachers) {
  return std::any_of(teachers.begin(), teachers.end(), [](const TeacherNeeds& teacher) {
    return std::any_of(teacher.specs.begin(), teacher.specs.end(),
                       [](const TargetSpec& spec) { return ReadsLabels(spec.reduction); });
  });
}

// The student's network, for its taps.
absl::StatusOr<std::shared_ptr<SegmentationModel>> BuildStudent(const v1::JobSpec& spec,
                                                                int64_t classes) {
  if (spec.student().model() == kTorchScript) {
    REFLUX_ASSIGN_OR_RETURN(ScriptedCheckpoint scripted, LoadScriptedModel(spec.student().init()));
    return std::move(scripted.model);
  }
  REFLUX_ASSIGN_OR_RETURN(const ModelOptions options, PlanModel(spec, classes));
  return BuildModel(options);
}

}  // namespace

absl::StatusOr<TeacherInfo> ReadTeacherInfo(const std::string& name, const v1::JobSpec& job) {
  v1::JobSpec here = job;
  // Where it is described does not change what it is.
  for (auto& [unused, teacher] : *here.mutable_teachers()) teacher.set_device("cpu");
  REFLUX_ASSIGN_OR_RETURN(const OpenedTeacher teacher,
                          OpenTeacher(here, name, {.evaluate = false}));
  return teacher.source->GetTeacherInfo({});
}

absl::StatusOr<JobNeeds> PlanJobNeeds(const v1::JobSpec& spec, const TeacherInfoFn& describe,
                                      const std::string& manifest_folder, const HashWatch& watch) {
  REFLUX_ASSIGN_OR_RETURN(const std::unique_ptr<Dataset> train, OpenTrainSplit(spec.data()));
  JobNeeds needs{.dataset = train->samples().front().image.dataset,
                 .images = static_cast<int64_t>(train->samples().size())};
  REFLUX_ASSIGN_OR_RETURN(needs.steps, PlanSteps(spec.train(), needs.images));
  if (!NeedsTeacher(spec.losses())) return needs;
  REFLUX_ASSIGN_OR_RETURN(const std::shared_ptr<SegmentationModel> student,
                          BuildStudent(spec, static_cast<int64_t>(train->class_names().size())));
  REFLUX_ASSIGN_OR_RETURN(needs.teachers, PlanTeachers(spec, *student, describe));
  REFLUX_ASSIGN_OR_RETURN(const std::vector<ImageFacts> facts,
                          ReadImageFacts(*train, manifest_folder, watch));
  std::vector<Digest> labels;
  if (AnyReadsLabels(needs.teachers)) {
    REFLUX_ASSIGN_OR_RETURN(labels, LabelDigests(*train, manifest_folder, watch));
  }
  REFLUX_ASSIGN_OR_RETURN(needs.samples, ListJobSamples(spec, *train, facts, needs.steps, labels));
  return needs;
}

}  // namespace reflux
