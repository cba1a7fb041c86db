#include "student_worker/worker.h"

#include <spdlog/spdlog.h>

#include <filesystem>
#include <iostream>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/exit_codes.h"
#include "common/base/shutdown.h"
#include "common/base/status_macros.h"
#include "common/spec/job_file.h"
#include "job_plan/device_plan.h"
#include "student_worker/bar_observer.h"
#include "student_worker/collectives/c10d_communicator.h"
#include "student_worker/observers.h"
#include "student_worker/target_path.h"
#include "student_worker/tensorboard_observer.h"
#include "student_worker/trainer.h"

namespace reflux {
namespace {

class Worker {
 public:
  explicit Worker(const WorkerFlags& flags)
      : flags_(flags), stop_(std::make_shared<Cancellation>()) {}

  absl::StatusOr<TrainingEnd> Run();

 private:
  absl::Status StartMetrics();
  absl::Status StartMembership(const std::string& store_address);
  absl::Status Rendezvous();
  absl::Status OpenObservers();

  const WorkerFlags flags_;
  const std::shared_ptr<Cancellation> signals_ = InstallShutdownSignals();
  // Either a signal or the orchestrator's wish.
  const std::shared_ptr<Cancellation> stop_;
  Cancellation::Registration on_signal_ = signals_->OnCancel([this] {
    spdlog::info("stopping; resumable (the third signal ends it at once)");
    stop_->Cancel();
  });
  v1::JobSpec spec_;
  std::unique_ptr<PrometheusRegistry> registry_;
  ProgressObserver progress_;
  std::unique_ptr<BarObserver> bar_;
  std::unique_ptr<LogObserver> log_;
  std::unique_ptr<JsonlObserver> jsonl_;
  std::unique_ptr<TensorBoardObserver> tensorboard_;
  std::unique_ptr<MetricsObserver> metrics_;
  std::vector<TrainingObserver*> observers_ = {&progress_};
  std::unique_ptr<MembershipClient> membership_;
  Cancellation::Registration on_wish_;
  std::optional<RendezvousStore> store_;
  std::unique_ptr<Communicator> communicator_;
};

absl::Status Worker::StartMetrics() {
  MetricLabels labels = {{"rank", std::to_string(flags_.rank)}};
  const std::string& job_id = flags_.program.membership.job_id;
  if (!job_id.empty()) labels["job_id"] = job_id;
  REFLUX_ASSIGN_OR_RETURN(registry_, StartMetricsPage(flags_.program, labels));
  return absl::OkStatus();
}

absl::Status Worker::StartMembership(const std::string& store_address) {
  MembershipFlags membership = flags_.program.membership;
  if (membership.role.empty()) membership.role = absl::StrCat("worker/", flags_.rank);
  REFLUX_ASSIGN_OR_RETURN(
      membership_,
      reflux::StartMembership(membership,
                              {.metrics_address = registry_ ? registry_->address() : "",
                               .store_address = store_address,
                               .wants_store_address = flags_.rank > 0},
                              [this] { return progress_.Snapshot(); }));
  if (membership_) on_wish_ = membership_->stop_requested()->OnCancel([this] { stop_->Cancel(); });
  return absl::OkStatus();
}

// Rank 0 serves the store and tells its address as it registers; the others learn it from the
// orchestrator's answer, or from --store.
absl::Status Worker::Rendezvous() {
  const absl::Duration timeout = absl::Seconds(spec_.run().process_group_timeout_s());
  const bool serves = flags_.rank == 0 && flags_.world_size > 1;
  if (serves) {
    REFLUX_ASSIGN_OR_RETURN(store_, HostStore({.timeout = timeout}));
    if (flags_.program.membership.orchestrator.empty())
      spdlog::info("store at {}", store_->address());
  }
  REFLUX_RETURN_IF_ERROR(StartMembership(serves ? store_->address() : ""));
  if (flags_.world_size == 1) {
    communicator_ = std::make_unique<SingleProcessCommunicator>();
    return absl::OkStatus();
  }
  if (!serves) {
    std::string address = flags_.store;
    if (membership_) {
      REFLUX_ASSIGN_OR_RETURN(
          address, membership_->AwaitStoreAddress(absl::Now() + absl::Minutes(5), stop_));
    }
    REFLUX_ASSIGN_OR_RETURN(store_, JoinStore(address, timeout));
  }
  REFLUX_ASSIGN_OR_RETURN(const torch::Device device,
                          PlanDevice(spec_.train().device(), flags_.rank));
  const auto gpus = device.is_cuda() ? static_cast<int>(torch::cuda::device_count()) : 0;
  if (gpus > 0 && gpus < flags_.world_size && flags_.rank == 0) {
    spdlog::info(
        "{} students share {} GPUs: they exchange gradients through Gloo, since NCCL wants "
        "a GPU for each",
        flags_.world_size, gpus);
  }
  REFLUX_ASSIGN_OR_RETURN(communicator_,
                          Connect({.backend = BackendFor(flags_.world_size, gpus),
                                   .rank = flags_.rank,
                                   .world_size = flags_.world_size,
                                   .generation = flags_.program.membership.generation,
                                   .timeout = timeout},
                                  *store_));
  return absl::OkStatus();
}

absl::Status Worker::OpenObservers() {
  if (registry_) {
    metrics_ = std::make_unique<MetricsObserver>(*registry_, flags_.rank);
    observers_.push_back(metrics_.get());
  }
  if (flags_.rank != 0) return absl::OkStatus();
  if (flags_.bar) {
    // Before the log: a phase ends the bar's line. Other messages take its place until the next
    // step.
    spdlog::set_pattern("\r\033[K%+");
    bar_ = std::make_unique<BarObserver>(std::cout);
    observers_.push_back(bar_.get());
  }
  log_ = std::make_unique<LogObserver>(flags_.bar ? 0 : spec_.train().log_every());
  observers_.push_back(log_.get());
  REFLUX_ASSIGN_OR_RETURN(jsonl_, JsonlObserver::Open(flags_.directory + "/metrics.jsonl",
                                                      flags_.program.membership.generation));
  observers_.push_back(jsonl_.get());
  REFLUX_ASSIGN_OR_RETURN(tensorboard_,
                          TensorBoardObserver::Open(flags_.directory + "/tensorboard",
                                                    flags_.program.membership.generation));
  observers_.push_back(tensorboard_.get());
  return absl::OkStatus();
}

absl::StatusOr<TrainingEnd> Worker::Run() {
  REFLUX_ASSIGN_OR_RETURN(spec_, LoadJobFile(flags_.job));
  std::error_code error;
  std::filesystem::create_directories(flags_.directory, error);
  if (error) {
    return absl::PermissionDeniedError("cannot create " + flags_.directory + ": " +
                                       error.message());
  }
  REFLUX_RETURN_IF_ERROR(StartMetrics());
  REFLUX_RETURN_IF_ERROR(OpenObservers());
  REFLUX_RETURN_IF_ERROR(Rendezvous());
  const std::string cache =
      flags_.cache_directory.empty() ? flags_.directory + "/cache" : flags_.cache_directory;
  REFLUX_ASSIGN_OR_RETURN(TargetEndpoints endpoints, ParseTargetEndpoints(flags_.targets));
  REFLUX_ASSIGN_OR_RETURN(
      const std::unique_ptr<TargetPath> path,
      OpenTargetPath(spec_, {.endpoints = std::move(endpoints), .cache_directory = cache},
                     registry_.get(), stop_));
  REFLUX_ASSIGN_OR_RETURN(const std::unique_ptr<Trainer> trainer,
                          Trainer::Create({.spec = spec_,
                                           .directory = flags_.directory,
                                           .generation = flags_.program.membership.generation,
                                           .sources = path->sources(),
                                           .stop = stop_},
                                          *communicator_, observers_));
  REFLUX_ASSIGN_OR_RETURN(const TrainingEnd end, trainer->Run());
  // The last progress, so that the job's final state shows it; the job does not depend on it.
  if (membership_) membership_->ReportNow(absl::Seconds(5)).IgnoreError();
  return end;
}

// What another try may mend is told from what it cannot.
int ExitCode(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kAlreadyExists:
      return kExitFailed;
    default:
      return kPermanentFailure;
  }
}

}  // namespace

int RunWorker(const WorkerFlags& flags) {
  const absl::StatusOr<TrainingEnd> end = Worker(flags).Run();
  if (!end.ok() && !absl::IsCancelled(end.status())) {
    spdlog::error("{}", std::string(end.status().message()));
    return ExitCode(end.status());
  }
  if (end.ok() && *end == TrainingEnd::kDone) return kExitDone;
  spdlog::info("stopped before the end; the same command goes on from there");
  return kExitStopped;
}

}  // namespace reflux
