#include "planner/measure_job.h"

#include <sys/statvfs.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "cache/cache_server.h"
#include "cache/caching_source.h"
#include "cache/inventory.h"
#include "cache/rocks_target_store.h"
#include "common/base/build_version.h"
#include "common/base/file.h"
#include "common/base/status_macros.h"
#include "common/spec/loss_fields.h"
#include "distill/teacher/local_source.h"
#include "job_plan/data_plan.h"
#include "job_plan/teacher_plan.h"
#include "planner/codec_measure.h"
#include "planner/fill.h"
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

// Sizes of what is delivered.
class SizeSink : public TargetSink {
 public:
  explicit SizeSink(const std::vector<TargetSpec>& specs) {
    for (const TargetSpec& spec : specs) taps_.push_back({.tap = spec.tap});
  }
  void Deliver(size_t, size_t spec, absl::StatusOr<EncodedTarget> target) override {
    if (!target.ok()) {
      status_ = target.status();
      return;
    }
    taps_[spec].shape = target->shape;
    taps_[spec].bytes += static_cast<double>(target->bytes.size());
  }
  absl::StatusOr<std::vector<PlanTap>> Means(size_t samples) {
    REFLUX_RETURN_IF_ERROR(status_);
    for (PlanTap& tap : taps_) tap.bytes /= static_cast<double>(samples);
    return taps_;
  }

 private:
  std::vector<PlanTap> taps_;
  absl::Status status_;
};

class JobMeter {
 public:
  JobMeter(const v1::JobSpec& spec, const MeasureOptions& options)
      : options_(options), spec_(MeasuredSpec(spec, options.timed_steps)) {}
  ~JobMeter() {
    caching_.reset();
    store_.reset();
    std::error_code ignored;
    fs::remove_all(options_.scratch, ignored);
  }

  absl::StatusOr<JobMeasurement> Run();

 private:
  absl::Status Prepare();
  absl::Status OpenStore();
  absl::StatusOr<double> TimeSteps(const std::string& phase, const v1::JobSpec& spec,
                                   TargetSource* source);
  absl::Status TimeAlone();
  absl::Status TimeTeacher();
  absl::Status MeasureSizes();
  absl::Status TimeServed();
  absl::Status Phase(const std::string& what) {
    if (options_.stop != nullptr && options_.stop->cancelled()) {
      return absl::CancelledError("stopped before everything was measured");
    }
    if (options_.on_phase) options_.on_phase(what);
    return absl::OkStatus();
  }

  const MeasureOptions& options_;
  const v1::JobSpec spec_;
  JobMeasurement result_;
  JobNeeds needs_;
  std::unique_ptr<TargetSource> local_;
  std::unique_ptr<RocksTargetStore> store_;
  std::unique_ptr<CachingSource> caching_;
};

absl::Status JobMeter::OpenStore() {
  REFLUX_ASSIGN_OR_RETURN(store_, RocksTargetStore::Open({.directory = options_.scratch + "/cache",
                                                          .min_free_disk_bytes = 0}));
  caching_ = MakeCachingSource(*store_, *local_);
  return absl::OkStatus();
}

absl::Status JobMeter::Prepare() {
  REFLUX_RETURN_IF_ERROR(Phase("loading the teacher"));
  if (spec_.teachers_size() != 1) {
    return absl::UnimplementedError("not available in this version: a plan for several teachers");
  }
  std::error_code error;
  fs::remove_all(options_.scratch, error);
  fs::create_directories(options_.scratch, error);
  if (error) return ErrnoStatus(error.value(), "cannot create", options_.scratch);
  REFLUX_ASSIGN_OR_RETURN(Teacher teacher,
                          LoadTeacher(spec_.teachers().begin()->second, spec_.data()));
  local_ = MakeLocalSource(
      std::move(teacher),
      [root = DataRoot(spec_.data())](const Locator& locator) {
        return ReadImageFile(root, locator);
      },
      {.build_version = std::string(BuildVersion()), .read_label = PlanLabelReader(spec_.data())});
  REFLUX_RETURN_IF_ERROR(OpenStore());
  // Through the cache, so that it remembers the teacher when a server opens it.
  const auto describe = [this](const std::string&, const v1::JobSpec&) {
    return caching_->GetTeacherInfo({});
  };
  REFLUX_ASSIGN_OR_RETURN(needs_, PlanJobNeeds(spec_, describe, options_.manifest_folder,
                                               {.stop = options_.stop.get()}));
  if (needs_.teachers.empty()) {
    return absl::InvalidArgumentError("No loss reads a teacher: there is nothing to plan.");
  }
  return absl::OkStatus();
}

absl::StatusOr<double> JobMeter::TimeSteps(const std::string& phase, const v1::JobSpec& spec,
                                           TargetSource* source) {
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
      Trainer::Create({.spec = spec,
                       .directory = folder,
                       .sources = {{spec_.teachers().begin()->first, {.source = source}}},
                       .stop = stop},
                      communicator, {&clock}));
  REFLUX_RETURN_IF_ERROR(trainer->Run().status());
  REFLUX_RETURN_IF_ERROR(Phase(phase));  // stopped before the last timed step
  return clock.seconds();
}

absl::Status JobMeter::TimeAlone() {
  v1::JobSpec alone = spec_;
  RemoveTeacherLosses(*alone.mutable_losses());
  if (alone.losses().ByteSizeLong() == 0) return absl::OkStatus();  // nothing to train on
  REFLUX_ASSIGN_OR_RETURN(result_.measured.alone_step,
                          TimeSteps("timing the student alone", alone, nullptr));
  return absl::OkStatus();
}

// What the run before has not asked for.
absl::Status JobMeter::TimeTeacher() {
  REFLUX_RETURN_IF_ERROR(Phase("timing the teacher alone"));
  const FillOptions options{.stop = options_.stop};
  const auto inventory = MakeStoreInventory(*store_);
  const TeacherNeeds& teacher = needs_.teachers[0];
  REFLUX_ASSIGN_OR_RETURN(const FillReport report,
                          Fill(teacher, needs_.samples, *inventory, caching_->storing(), options));
  if (report.stopped) return absl::CancelledError("stopped before everything was measured");
  if (report.stored > 0) {
    result_.measured.view_seconds = report.seconds / static_cast<double>(report.stored) *
                                    static_cast<double>(teacher.specs.size());
  } else {  // a data set so small that the run before took all its views
    result_.measured.view_seconds =
        result_.measured.live_step / static_cast<double>(spec_.train().global_batch());
  }
  return absl::OkStatus();
}

absl::Status JobMeter::MeasureSizes() {
  TargetRequest request{.teacher = needs_.teachers[0].info.identity,
                        .samples = needs_.samples,
                        .specs = needs_.teachers[0].specs};
  request.samples.resize(std::min<size_t>(request.samples.size(), TargetRequest::kMaxSamples));
  SizeSink sizes(request.specs);
  REFLUX_RETURN_IF_ERROR(caching_->Fetch({}, request, sizes));
  REFLUX_ASSIGN_OR_RETURN(result_.taps, sizes.Means(request.samples.size()));
  for (const PlanTap& tap : result_.taps) result_.measured.view_bytes += tap.bytes;
  REFLUX_RETURN_IF_ERROR(Phase("measuring codecs on real maps"));
  request.samples.resize(std::min<size_t>(request.samples.size(), 4));
  REFLUX_ASSIGN_OR_RETURN(result_.codecs, MeasureCodecs(request, *local_));
  return absl::OkStatus();
}

absl::Status JobMeter::TimeServed() {
  caching_.reset();
  store_.reset();  // a folder has one owner
  REFLUX_ASSIGN_OR_RETURN(const std::unique_ptr<CacheServer> server,
                          CacheServer::Start({.store = {.directory = options_.scratch + "/cache",
                                                        .min_free_disk_bytes = 0}},
                                             nullptr));
  REFLUX_ASSIGN_OR_RETURN(
      const std::unique_ptr<TargetPath> path,
      OpenTargetPath(spec_, {.endpoints = {{"", server->address()}}}, nullptr, options_.stop));
  REFLUX_ASSIGN_OR_RETURN(result_.measured.served_step,
                          TimeSteps("timing a cache server on this machine", spec_,
                                    path->sources().begin()->second.source));
  return absl::OkStatus();
}

absl::StatusOr<JobMeasurement> JobMeter::Run() {
  REFLUX_RETURN_IF_ERROR(Prepare());
  REFLUX_RETURN_IF_ERROR(TimeAlone());
  REFLUX_ASSIGN_OR_RETURN(
      result_.measured.live_step,
      TimeSteps("timing steps that compute and store their targets", spec_, caching_.get()));
  REFLUX_RETURN_IF_ERROR(TimeTeacher());
  REFLUX_ASSIGN_OR_RETURN(result_.measured.warm_step,
                          TimeSteps("timing steps from the cache", spec_, caching_.get()));
  REFLUX_RETURN_IF_ERROR(MeasureSizes());
  REFLUX_RETURN_IF_ERROR(TimeServed());
  REFLUX_RETURN_IF_ERROR(Phase("measuring the drive"));
  REFLUX_ASSIGN_OR_RETURN(result_.drive, MeasureDriveSpeed(options_.scratch, options_.drive));
  result_.measured.drive_write = result_.drive.write;
  result_.measured.drive_read = result_.drive.read;
  result_.measured.memory_bytes = MemoryForPages();
  result_.measured.free_disk_bytes = FreeDisk(options_.scratch);
  result_.timed_steps = options_.timed_steps;
  return result_;
}

}  // namespace

absl::StatusOr<JobMeasurement> MeasureJob(const v1::JobSpec& spec, const MeasureOptions& options) {
  return JobMeter(spec, options).Run();
}

}  // namespace reflux
