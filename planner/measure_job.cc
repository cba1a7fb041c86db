#include "planner/measure_job.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "common/base/status_macros.h"
#include "common/spec/job_check.h"
#include "common/spec/job_teachers.h"
#include "common/spec/loss_fields.h"
#include "job_plan/data_plan.h"
#include "planner/scratch_folder.h"
#include "planner/teacher_needs.h"
#include "planner/timed_steps.h"
#include "student_worker/target_path.h"

namespace reflux {
namespace {

// What a job with whole images would replay instead.
constexpr char kReplayed[] = "replay: 8";
// Enough to know the size of a map.
constexpr size_t kSizedSamples = 4;

bool IsWhole(const v1::JobSpec& spec) { return absl::StartsWith(spec.targets().views(), "whole"); }

v1::JobSpec WithViews(v1::JobSpec spec, const std::string& views) {
  spec.mutable_targets()->set_views(views);
  return spec;
}

bool SameSpecs(const JobNeeds& a, const JobNeeds& b) {
  return std::ranges::equal(
      a.teachers, b.teachers,
      [](const TeacherNeeds& x, const TeacherNeeds& y) { return x.specs == y.specs; });
}

double SumBytes(const std::vector<PlanTap>& taps) {
  double bytes = 0;
  for (const PlanTap& tap : taps) bytes += tap.bytes;
  return bytes;
}

class JobMeter {
 public:
  JobMeter(const v1::JobSpec& job, const MeasureOptions& options)
      : job_(job), options_(options), spec_(TimedSpec(job, options.timed_steps)) {}
  absl::StatusOr<JobMeasurement> Run();

 private:
  using Sources = std::map<std::string, TeacherAccess>;

  absl::Status Phase(const std::string& what);
  absl::StatusOr<double> Time(const std::string& phase, const v1::JobSpec& spec,
                              const Sources& sources);
  absl::StatusOr<JobNeeds> NeedsOf(const v1::JobSpec& spec);
  absl::StatusOr<JobMeasurement> WithoutTeachers();
  absl::Status Prepare();
  absl::Status TimeAlone();
  // Steps that compute and store the targets of `spec`, the teachers alone, steps from the cache,
  // sizes. `what`: of which targets, for people.
  absl::StatusOr<MapCost> MeasureMaps(const std::string& what, const v1::JobSpec& spec,
                                      const JobNeeds& needs, ViewCosts& costs,
                                      std::vector<PlanTap>& taps);
  absl::StatusOr<double> TimeTeachers(const JobNeeds& needs, double live_step, ViewCosts& costs);
  absl::Status MeasureOwnMaps();
  absl::Status MeasureAlternatives();
  absl::Status MeasureOtherViews();
  absl::Status CompareWhole(const v1::JobSpec& whole, const JobNeeds& needs);
  absl::Status MeasureReduction();
  absl::Status TimeServed();

  const v1::JobSpec& job_;
  const MeasureOptions& options_;
  const v1::JobSpec spec_;
  JobMeasurement result_;
  JobNeeds needs_;
  JobNeeds replayed_needs_;  // of a job with whole images: what it would replay instead
  std::unique_ptr<ScratchFolder> scratch_;
  std::unique_ptr<MeteredTeachers> teachers_;  // in the folder
};

absl::Status JobMeter::Phase(const std::string& what) {
  if (options_.stop != nullptr && options_.stop->cancelled()) {
    return absl::CancelledError("stopped before everything was measured");
  }
  if (options_.on_phase) options_.on_phase(what);
  return absl::OkStatus();
}

absl::StatusOr<double> JobMeter::Time(const std::string& phase, const v1::JobSpec& spec,
                                      const Sources& sources) {
  REFLUX_RETURN_IF_ERROR(Phase(phase));
  return TimeSteps({.spec = spec,
                    .sources = sources,
                    .folder = options_.scratch + "/run",
                    .manifest_folder = options_.manifest_folder,
                    .timed_steps = options_.timed_steps,
                    .stop = options_.stop});
}

absl::StatusOr<JobNeeds> JobMeter::NeedsOf(const v1::JobSpec& spec) {
  const auto describe = [this](const std::string& name, const v1::JobSpec&) {
    return teachers_->Describe(name);
  };
  return PlanJobNeeds(spec, describe, options_.manifest_folder, {.stop = options_.stop.get()});
}

absl::StatusOr<JobMeasurement> JobMeter::WithoutTeachers() {
  Measured& m = result_.measured;
  REFLUX_ASSIGN_OR_RETURN(m.alone_step, Time("timing the student alone", spec_, {}));
  m.live_step = m.warm_step = m.served_step = m.alone_step;
  return result_;
}

absl::Status JobMeter::Prepare() {
  REFLUX_RETURN_IF_ERROR(
      Phase(UsedTeachers(spec_).size() > 1 ? "loading the teachers" : "loading the teacher"));
  REFLUX_ASSIGN_OR_RETURN(teachers_, MeteredTeachers::Open(spec_, options_.scratch));
  REFLUX_ASSIGN_OR_RETURN(needs_, NeedsOf(spec_));
  return absl::OkStatus();
}

absl::Status JobMeter::TimeAlone() {
  v1::JobSpec alone = spec_;
  RemoveTeacherLosses(*alone.mutable_losses());
  if (alone.losses().ByteSizeLong() == 0) return absl::OkStatus();  // nothing to train on
  REFLUX_ASSIGN_OR_RETURN(result_.measured.alone_step, Time("timing the student alone", alone, {}));
  return absl::OkStatus();
}

// What the run before has not asked for; seconds of all teachers for one view.
absl::StatusOr<double> JobMeter::TimeTeachers(const JobNeeds& needs, double live_step,
                                              ViewCosts& costs) {
  REFLUX_ASSIGN_OR_RETURN(std::vector<TeacherMeasure> teachers,
                          teachers_->TimeAlone(needs, options_.stop));
  double seconds = 0;
  for (TeacherMeasure& teacher : teachers) {
    if (teacher.view_seconds == 0) {  // a data set so small that the run before took all its views
      teacher.view_seconds = live_step / static_cast<double>(spec_.train().global_batch()) /
                             static_cast<double>(needs.teachers.size());
    }
    seconds += teacher.view_seconds;
    if (needs.samples.empty()) continue;
    costs.AddSeconds(teacher.identity, needs.samples.front().view, teacher.view_seconds);
  }
  return seconds;
}

absl::StatusOr<MapCost> JobMeter::MeasureMaps(const std::string& what, const v1::JobSpec& spec,
                                              const JobNeeds& needs, ViewCosts& costs,
                                              std::vector<PlanTap>& taps) {
  MapCost cost;
  REFLUX_ASSIGN_OR_RETURN(cost.live_step, Time("timing steps that compute and store " + what, spec,
                                               teachers_->sources()));
  const bool several = needs.teachers.size() > 1;
  REFLUX_RETURN_IF_ERROR(Phase(several ? "timing each teacher alone" : "timing the teacher alone"));
  REFLUX_ASSIGN_OR_RETURN(cost.seconds, TimeTeachers(needs, cost.live_step, costs));
  REFLUX_ASSIGN_OR_RETURN(cost.warm_step,
                          Time("timing steps from the cache", spec, teachers_->sources()));
  REFLUX_ASSIGN_OR_RETURN(taps, teachers_->MeasureSizes(needs, costs));
  cost.bytes = SumBytes(taps);
  return cost;
}

absl::Status JobMeter::MeasureOwnMaps() {
  REFLUX_ASSIGN_OR_RETURN(const MapCost cost,
                          MeasureMaps("their targets", spec_, needs_, result_.costs, result_.taps));
  result_.measured.view_bytes = cost.bytes;
  result_.measured.view_seconds = cost.seconds;
  result_.measured.live_step = cost.live_step;
  result_.measured.warm_step = cost.warm_step;
  if (IsWhole(spec_)) {
    result_.kinds.whole = cost;
    result_.kinds.whole_views = spec_.targets().views();
  } else {
    result_.kinds.replayed = cost;
  }
  return absl::OkStatus();
}

// Whole images beside replayed views, or the reverse.
absl::Status JobMeter::MeasureOtherViews() {
  ViewCosts costs;
  std::vector<PlanTap> taps;
  if (IsWhole(spec_)) {
    const v1::JobSpec replayed = WithViews(spec_, kReplayed);
    REFLUX_ASSIGN_OR_RETURN(replayed_needs_, NeedsOf(replayed));
    REFLUX_ASSIGN_OR_RETURN(result_.kinds.replayed,
                            MeasureMaps("replayed views", replayed, replayed_needs_, costs, taps));
    return CompareWhole(job_, needs_);
  }
  if (const absl::Status valid = ValidateJob(WithViews(job_, "whole")); !valid.ok()) {
    result_.comparison = valid;
    return absl::OkStatus();
  }
  const v1::JobSpec whole = WithViews(spec_, "whole");
  REFLUX_ASSIGN_OR_RETURN(const JobNeeds needs, NeedsOf(whole));
  REFLUX_ASSIGN_OR_RETURN(result_.kinds.whole,
                          MeasureMaps("maps of whole images", whole, needs, costs, taps));
  return CompareWhole(WithViews(job_, "whole"), needs);
}

absl::Status JobMeter::CompareWhole(const v1::JobSpec& whole, const JobNeeds& needs) {
  REFLUX_RETURN_IF_ERROR(Phase("comparing maps derived from whole images with live ones"));
  ViewComparisonOptions options{.view_seed = whole.data().view_seed(),
                                .images = options_.compared_images,
                                .specs = needs.teachers.front().specs};
  REFLUX_ASSIGN_OR_RETURN(options.policy, PlanViews(whole));
  REFLUX_ASSIGN_OR_RETURN(const std::unique_ptr<Dataset> val, OpenValSplit(whole.data()));
  const Sources sources = teachers_->sources();
  result_.comparison = CompareViews(*sources.begin()->second.source, needs.teachers.front().info,
                                    *val, options, options_.stop);
  return absl::IsCancelled(result_.comparison.status()) ? result_.comparison.status()
                                                        : absl::OkStatus();
}

// Of replayed views: maps of whole images are not reduced.
absl::Status JobMeter::MeasureReduction() {
  const bool reduces = spec_.targets().reduce() == "auto";
  result_.none_bytes = result_.auto_bytes = result_.kinds.replayed.bytes;
  v1::JobSpec other = IsWhole(spec_) ? WithViews(spec_, kReplayed) : spec_;
  other.mutable_targets()->set_reduce(reduces ? "none" : "auto");
  REFLUX_ASSIGN_OR_RETURN(JobNeeds needs, NeedsOf(other));
  if (SameSpecs(needs, IsWhole(spec_) ? replayed_needs_ : needs_)) return absl::OkStatus();
  REFLUX_RETURN_IF_ERROR(Phase("measuring reductions at the teacher"));
  needs.samples.resize(std::min(needs.samples.size(), kSizedSamples));
  ViewCosts costs;
  REFLUX_ASSIGN_OR_RETURN(const std::vector<PlanTap> taps, teachers_->MeasureSizes(needs, costs));
  (reduces ? result_.none_bytes : result_.auto_bytes) = SumBytes(taps);
  return absl::OkStatus();
}

absl::Status JobMeter::MeasureAlternatives() {
  REFLUX_RETURN_IF_ERROR(MeasureOtherViews());
  REFLUX_RETURN_IF_ERROR(MeasureReduction());
  REFLUX_RETURN_IF_ERROR(Phase("measuring codecs on real maps"));
  REFLUX_ASSIGN_OR_RETURN(result_.codecs,
                          teachers_->MeasureCodecs(needs_, spec_.targets().codec()));
  return absl::OkStatus();
}

absl::Status JobMeter::TimeServed() {
  REFLUX_ASSIGN_OR_RETURN(const TargetEndpoints endpoints, teachers_->Serve());
  REFLUX_ASSIGN_OR_RETURN(const std::unique_ptr<TargetPath> path,
                          OpenTargetPath(spec_, {.endpoints = endpoints, .cache_directory = ""},
                                         nullptr, options_.stop));
  REFLUX_ASSIGN_OR_RETURN(result_.measured.served_step,
                          Time("timing a cache server on this machine", spec_, path->sources()));
  return absl::OkStatus();
}

absl::StatusOr<JobMeasurement> JobMeter::Run() {
  REFLUX_ASSIGN_OR_RETURN(scratch_, ScratchFolder::Create(options_.scratch));
  if (!NeedsTeacher(spec_.losses())) return WithoutTeachers();
  REFLUX_RETURN_IF_ERROR(Prepare());
  if (options_.alternatives) REFLUX_RETURN_IF_ERROR(TimeAlone());
  REFLUX_RETURN_IF_ERROR(MeasureOwnMaps());
  if (options_.alternatives) REFLUX_RETURN_IF_ERROR(MeasureAlternatives());
  REFLUX_RETURN_IF_ERROR(TimeServed());
  return result_;
}

}  // namespace

absl::StatusOr<JobMeasurement> MeasureJob(const v1::JobSpec& spec, const MeasureOptions& options) {
  return JobMeter(spec, options).Run();
}

}  // namespace reflux
