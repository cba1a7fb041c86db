#include "planner/measure_job.h"

#include <algorithm>
#include <filesystem>
#include <limits>
#include <map>
#include <utility>

#include "absl/time/clock.h"
#include "common/base/status_macros.h"
#include "common/spec/job_teachers.h"
#include "common/spec/loss_fields.h"
#include "planner/scratch_folder.h"
#include "planner/teacher_needs.h"
#include "student_worker/collectives/communicator.h"
#include "student_worker/target_path.h"
#include "student_worker/trainer.h"

namespace reflux {
namespace {

namespace fs = std::filesystem;

// Steps before the timed ones: by then the batches read ahead are as many as they will be.
constexpr int kUntimed = 3;
constexpr int kPrefetchDepth = 2;

// Stops a run after the timed steps.
class StepClock : public TrainingObserver {
 public:
  StepClock(int64_t timed, Cancellation& stop) : timed_(timed), stop_(stop) {}

  void OnStep(const StepReport& report) override {
    if (report.step == kUntimed) begin_ = absl::Now();
    if (report.step == kUntimed + timed_) {
      seconds_ = absl::ToDoubleSeconds(absl::Now() - begin_) / static_cast<double>(timed_);
      stop_.Cancel();
    }
  }
  double seconds() const { return seconds_; }

 private:
  const int64_t timed_;
  Cancellation& stop_;
  absl::Time begin_;
  double seconds_ = 0;
};

// The job with the steps that are measured, one student's share of the batch, and nothing else.
v1::JobSpec MeasuredSpec(const v1::JobSpec& spec, int64_t timed_steps) {
  v1::JobSpec measured = spec;
  v1::TrainSpec& train = *measured.mutable_train();
  const int students = std::max(1, spec.run().students());
  train.set_global_batch((train.global_batch() + students - 1) / students);
  train.set_prefetch_depth(std::min(train.prefetch_depth(), kPrefetchDepth));
  // Beyond the timed steps: those read ahead, and some that no step takes, for the teacher alone.
  int teacher_batch = 1;
  for (const auto& [name, teacher] : spec.teachers()) {
    teacher_batch = std::max(teacher_batch, teacher.batch());
  }
  const int alone = (4 * teacher_batch + train.global_batch() - 1) / train.global_batch();
  train.set_steps(kUntimed + static_cast<int>(timed_steps) + 1 + train.prefetch_depth() +
                  train.loader_threads() + alone);
  train.clear_epochs();
  train.set_eval_every(0);
  train.set_checkpoint_every(std::numeric_limits<int>::max());
  measured.mutable_data()->set_max_val_images(1);
  measured.mutable_targets()->set_whole_tolerance(100);  // how good `whole` is, the job finds out
  return measured;
}

class JobMeter {
 public:
  JobMeter(const v1::JobSpec& spec, const MeasureOptions& options)
      : options_(options), spec_(MeasuredSpec(spec, options.timed_steps)) {}
  absl::StatusOr<JobMeasurement> Run();

 private:
  absl::Status Prepare();
  absl::StatusOr<double> TimeSteps(const std::string& phase, const v1::JobSpec& spec,
                                   const std::map<std::string, TeacherAccess>& sources);
  absl::StatusOr<JobMeasurement> WithoutTeachers();
  absl::Status TimeAlone();
  absl::Status TimeTeachers();
  absl::Status MeasureSizes();
  absl::Status TimeServed();
  absl::Status CheckNotStopped() const {
    if (options_.stop == nullptr || !options_.stop->cancelled()) return absl::OkStatus();
    return absl::CancelledError("stopped before everything was measured");
  }
  absl::Status Phase(const std::string& what) {
    REFLUX_RETURN_IF_ERROR(CheckNotStopped());
    if (options_.on_phase) options_.on_phase(what);
    return absl::OkStatus();
  }

  const MeasureOptions& options_;
  const v1::JobSpec spec_;
  JobMeasurement result_;
  JobNeeds needs_;
  std::unique_ptr<ScratchFolder> scratch_;
  std::unique_ptr<MeteredTeachers> teachers_;  // in the folder
};

absl::Status JobMeter::Prepare() {
  REFLUX_RETURN_IF_ERROR(
      Phase(UsedTeachers(spec_).size() > 1 ? "loading the teachers" : "loading the teacher"));
  REFLUX_ASSIGN_OR_RETURN(teachers_, MeteredTeachers::Open(spec_, options_.scratch));
  const auto describe = [this](const std::string& name, const v1::JobSpec&) {
    return teachers_->Describe(name);
  };
  REFLUX_ASSIGN_OR_RETURN(needs_, PlanJobNeeds(spec_, describe, options_.manifest_folder,
                                               {.stop = options_.stop.get()}));
  return absl::OkStatus();
}

absl::StatusOr<double> JobMeter::TimeSteps(const std::string& phase, const v1::JobSpec& spec,
                                           const std::map<std::string, TeacherAccess>& sources) {
  REFLUX_RETURN_IF_ERROR(Phase(phase));
  const std::string folder = options_.scratch + "/run";
  std::error_code error;
  fs::remove_all(folder, error);
  fs::create_directories(folder, error);
  fs::create_directory_symlink(options_.manifest_folder, folder + "/manifests", error);
  const auto stop = std::make_shared<Cancellation>();
  Cancellation::Registration on_stop;
  if (options_.stop != nullptr) on_stop = options_.stop->OnCancel([stop] { stop->Cancel(); });
  StepClock clock(options_.timed_steps, *stop);
  SingleProcessCommunicator communicator;
  REFLUX_ASSIGN_OR_RETURN(
      const std::unique_ptr<Trainer> trainer,
      Trainer::Create({.spec = spec, .directory = folder, .sources = sources, .stop = stop},
                      communicator, {&clock}));
  REFLUX_RETURN_IF_ERROR(trainer->Run().status());
  REFLUX_RETURN_IF_ERROR(CheckNotStopped());  // before the last timed step
  return clock.seconds();
}

absl::StatusOr<JobMeasurement> JobMeter::WithoutTeachers() {
  Measured& m = result_.measured;
  REFLUX_ASSIGN_OR_RETURN(m.alone_step, TimeSteps("timing the student alone", spec_, {}));
  m.live_step = m.warm_step = m.served_step = m.alone_step;
  return result_;
}

absl::Status JobMeter::TimeAlone() {
  v1::JobSpec alone = spec_;
  RemoveTeacherLosses(*alone.mutable_losses());
  if (alone.losses().ByteSizeLong() == 0) return absl::OkStatus();  // nothing to train on
  REFLUX_ASSIGN_OR_RETURN(result_.measured.alone_step,
                          TimeSteps("timing the student alone", alone, {}));
  return absl::OkStatus();
}

// What the run before has not asked for.
absl::Status JobMeter::TimeTeachers() {
  const bool several = needs_.teachers.size() > 1;
  REFLUX_RETURN_IF_ERROR(Phase(several ? "timing each teacher alone" : "timing the teacher alone"));
  REFLUX_ASSIGN_OR_RETURN(result_.teachers, teachers_->TimeAlone(needs_, options_.stop));
  for (TeacherMeasure& teacher : result_.teachers) {
    if (teacher.view_seconds == 0) {  // a data set so small that the run before took all its views
      teacher.view_seconds = result_.measured.live_step /
                             static_cast<double>(spec_.train().global_batch()) /
                             static_cast<double>(needs_.teachers.size());
    }
    result_.measured.view_seconds += teacher.view_seconds;
    if (needs_.samples.empty()) continue;
    result_.costs.AddSeconds(teacher.identity, needs_.samples.front().view, teacher.view_seconds);
  }
  return absl::OkStatus();
}

absl::Status JobMeter::MeasureSizes() {
  REFLUX_RETURN_IF_ERROR(teachers_->MeasureSizes(needs_, result_.teachers, result_.costs));
  for (const TeacherMeasure& teacher : result_.teachers) {
    for (const PlanTap& tap : teacher.taps) result_.measured.view_bytes += tap.bytes;
  }
  if (!options_.alone_and_codecs) return absl::OkStatus();
  REFLUX_RETURN_IF_ERROR(Phase("measuring codecs on real maps"));
  REFLUX_ASSIGN_OR_RETURN(result_.codecs, teachers_->MeasureCodecs(needs_));
  return absl::OkStatus();
}

absl::Status JobMeter::TimeServed() {
  REFLUX_ASSIGN_OR_RETURN(const TargetEndpoints endpoints, teachers_->Serve());
  REFLUX_ASSIGN_OR_RETURN(const std::unique_ptr<TargetPath> path,
                          OpenTargetPath(spec_, {.endpoints = endpoints, .cache_directory = ""},
                                         nullptr, options_.stop));
  REFLUX_ASSIGN_OR_RETURN(
      result_.measured.served_step,
      TimeSteps("timing a cache server on this machine", spec_, path->sources()));
  return absl::OkStatus();
}

absl::StatusOr<JobMeasurement> JobMeter::Run() {
  REFLUX_ASSIGN_OR_RETURN(scratch_, ScratchFolder::Create(options_.scratch));
  if (!NeedsTeacher(spec_.losses())) return WithoutTeachers();
  REFLUX_RETURN_IF_ERROR(Prepare());
  if (options_.alone_and_codecs) REFLUX_RETURN_IF_ERROR(TimeAlone());
  REFLUX_ASSIGN_OR_RETURN(
      result_.measured.live_step,
      TimeSteps("timing steps that compute and store their targets", spec_, teachers_->sources()));
  REFLUX_RETURN_IF_ERROR(TimeTeachers());
  REFLUX_ASSIGN_OR_RETURN(result_.measured.warm_step,
                          TimeSteps("timing steps from the cache", spec_, teachers_->sources()));
  REFLUX_RETURN_IF_ERROR(MeasureSizes());
  REFLUX_RETURN_IF_ERROR(TimeServed());
  return result_;
}

}  // namespace

absl::StatusOr<JobMeasurement> MeasureJob(const v1::JobSpec& spec, const MeasureOptions& options) {
  return JobMeter(spec, options).Run();
}

}  // namespace reflux
