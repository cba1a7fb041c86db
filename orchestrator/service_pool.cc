#include "orchestrator/service_pool.h"

#include <google/protobuf/util/json_util.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/exit_codes.h"
#include "common/base/file.h"
#include "common/base/status_macros.h"
#include "orchestrator/process_logs.h"

namespace reflux {

namespace {

// What the roles of the processes that stand in for each other begin with: "teacher/<hash>" of
// "teacher/<hash>/<number>". Others stand for themselves.
std::string PoolOf(const std::string& role) {
  return absl::StartsWith(role, "teacher/") ? role.substr(0, role.rfind('/')) : role;
}

}  // namespace

std::string DescribeExit(const ProcessExit& exit) {
  const std::string how = exit.signal != 0      ? absl::StrCat("signal ", exit.signal)
                          : exit.exit_code >= 0 ? absl::StrCat("exit code ", exit.exit_code)
                                                : std::string("unknown status");
  return exit.cause.empty() || exit.cause == "exited" ? how
                                                      : absl::StrCat(how, " (", exit.cause, ")");
}

absl::Status WriteSpec(const std::string& file, const v1::JobSpec& spec) {
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(file).parent_path(), error);
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.preserve_proto_field_names = true;
  std::string json;
  if (!google::protobuf::util::MessageToJsonString(spec, &json, options).ok()) {
    return absl::InvalidArgumentError("spec: cannot be written as JSON");
  }
  return WriteFileAtomically(file, json);
}

ServicePool::ServicePool(const ServicePoolOptions& options, Launcher& launcher, JobStore& store)
    : options_(options), launcher_(launcher), store_(store) {}

absl::Status ServicePool::Recover(absl::Time now) {
  REFLUX_ASSIGN_OR_RETURN(const std::vector<store::ServiceRecord> records, store_.Services());
  for (const store::ServiceRecord& record : records) {
    Service& service = services_[record.role()];
    service.record = record;
    service.heard = service.idle_since = now;
    if (record.living()) {
      launcher_.Adopt(LaunchId(record), StateLayout::ProcessDir(record.directory()));
    }
  }
  return absl::OkStatus();
}

absl::Status ServicePool::Acquire(const std::string& job_id, const v1::JobSpec& spec,
                                  const std::vector<ServicePlan>& plans, int max_restarts,
                                  absl::Time now) {
  for (const ServicePlan& plan : plans) {
    Service& service = services_[plan.role];
    if (!service.record.living()) {
      // The next launch follows the newest job; one that lives keeps what it was told.
      service.record.set_role(plan.role);
      service.record.set_program(plan.program);
      service.record.set_directory(options_.state.Service(plan.role));
      service.record.set_upstream(plan.upstream);
      service.record.clear_arguments();
      for (const std::string& argument : plan.arguments) service.record.add_arguments(argument);
      REFLUX_RETURN_IF_ERROR(WriteSpec(StateLayout::SpecFile(service.record.directory()), spec));
    }
    if (service.users.empty()) {
      service.record.clear_failure();
      service.record.set_restarts(0);
      service.max_restarts = 0;
    }
    service.users.insert(job_id);
    service.max_restarts = std::max(service.max_restarts, max_restarts);
  }
  Tick(now);
  return absl::OkStatus();
}

void ServicePool::Release(const std::string& job_id, absl::Time now) {
  for (auto& [role, service] : services_) {
    if (service.users.erase(job_id) > 0) service.idle_since = now;
  }
}

bool ServicePool::Ready(const std::string& job_id) const {
  return std::all_of(services_.begin(), services_.end(), [&](const auto& entry) {
    const Service& service = entry.second;
    return !service.users.contains(job_id) || (service.record.registered() && !service.stopping) ||
           Replaceable(job_id, service);
  });
}

std::string ServicePool::Failure(const std::string& job_id) const {
  for (const auto& [role, service] : services_) {
    if (service.users.contains(job_id) && !service.record.failure().empty() &&
        !Replaceable(job_id, service)) {
      return service.record.failure();
    }
  }
  return "";
}

// Given up, but another process of the job's pool is not: the job goes on with that.
bool ServicePool::Replaceable(const std::string& job_id, const Service& service) const {
  if (service.record.failure().empty()) return false;
  const std::string pool = PoolOf(service.record.role());
  return std::any_of(services_.begin(), services_.end(), [&](const auto& entry) {
    const Service& other = entry.second;
    return other.users.contains(job_id) && other.record.failure().empty() &&
           PoolOf(other.record.role()) == pool;
  });
}

std::string ServicePool::LaunchId(const store::ServiceRecord& record) {
  return absl::StrCat(StateLayout::FileName(record.role()), ".n", record.launch_number());
}

ServicePool::Service* ServicePool::Find(const std::string& launch_id) {
  for (auto& [role, service] : services_) {
    if (service.record.living() && LaunchId(service.record) == launch_id) return &service;
  }
  return nullptr;
}

bool ServicePool::Owns(const std::string& launch_id) const {
  return std::any_of(services_.begin(), services_.end(),
                     [&](const auto& entry) { return LaunchId(entry.second.record) == launch_id; });
}

void ServicePool::OnExit(const ProcessExit& exit, absl::Time now) {
  Service* service = Find(exit.launch_id);
  if (service == nullptr) return;
  service->record.set_living(false);
  service->record.set_registered(false);
  service->record.set_pid(0);
  const bool asked = std::exchange(service->stopping, false) && !Needed(*service);
  if (!asked && !closing_) RestartOrGiveUp(*service, exit, now);
  Save(*service, /*durable=*/true);
}

void ServicePool::RestartOrGiveUp(Service& service, const ProcessExit& exit, absl::Time now) {
  store::ServiceRecord& record = service.record;
  const std::string log =
      StateLayout::LogFile(record.directory(), record.role(), record.launch_number());
  const std::string what = absl::StrCat(record.role(), " ended with ", DescribeExit(exit));
  spdlog::warn("{}", what);
  const std::string tail = LastLines(log, 5);
  const std::string why = tail.empty() ? what : absl::StrCat(what, ":\n", tail);
  if (exit.exit_code == kPermanentFailure || exit.exit_code == kExitUsage) {
    record.set_failure(why);
  } else if (record.restarts() >= service.max_restarts && Needed(service)) {
    record.set_failure(absl::StrCat("given up after ", record.restarts(), " restarts: ", why));
  } else {
    service.start_at = now + RestartDelay(options_.restart, record.failures_in_a_row());
    record.set_restarts(record.restarts() + 1);
    record.set_failures_in_a_row(record.failures_in_a_row() + 1);
    ++restarts_;
  }
}

absl::Status ServicePool::Register(const v1::RegisterRequest& request, absl::Time now) {
  Service* service = Find(request.launch_id());
  if (service == nullptr) {
    const auto role = services_.find(request.role());
    if (role == services_.end()) {
      return absl::NotFoundError(absl::StrCat("launch ", request.launch_id(), " is not known"));
    }
    return absl::FailedPreconditionError(
        absl::StrCat("launch ", request.launch_id(), " of ", request.role(), " has been replaced"));
  }
  service->record.set_registered(true);
  service->record.set_failures_in_a_row(0);
  service->record.set_pid(request.pid());
  service->record.set_address(request.address());
  service->record.set_metrics_address(request.metrics_address());
  service->heard = now;
  Save(*service, /*durable=*/false);
  return absl::OkStatus();
}

absl::StatusOr<bool> ServicePool::Heartbeat(const std::string& launch_id, absl::Time now) {
  Service* service = Find(launch_id);
  if (service == nullptr || !service->record.registered()) {
    return absl::NotFoundError(absl::StrCat("launch ", launch_id, " has not registered"));
  }
  service->heard = now;
  return service->stopping;
}

// By a job, or as the teacher behind a cache that is needed or lives.
bool ServicePool::Needed(const Service& service) const {
  if (!service.users.empty()) return true;
  return std::any_of(services_.begin(), services_.end(), [&](const auto& entry) {
    const Service& other = entry.second;
    return other.record.upstream() == service.record.role() &&
           (!other.users.empty() || other.record.living());
  });
}

absl::Time ServicePool::Tick(absl::Time now) {
  absl::Time next = absl::InfiniteFuture();
  for (auto& [role, service] : services_) {
    if (service.record.living()) {
      next = std::min(next, TickLiving(service, now));
    } else if (Needed(service) && service.record.failure().empty() && !closing_) {
      if (now >= service.start_at) {
        Launch(service, now);
      } else {
        next = std::min(next, service.start_at);
      }
    }
  }
  return next;
}

absl::Time ServicePool::TickLiving(Service& service, absl::Time now) {
  if (service.stopping) return absl::InfiniteFuture();
  const bool needed = Needed(service);
  // A teacher is idle from when its cache is.
  if (needed && service.users.empty()) service.idle_since = now;
  const absl::Time silent_at =
      service.heard + (service.record.registered() ? options_.lease : options_.start_timeout);
  const absl::Time idle_at = needed ? absl::InfiniteFuture() : service.idle_since + options_.linger;
  if (now >= silent_at || now >= idle_at) {
    if (now >= silent_at) spdlog::warn("{} no longer answers: stopping it", service.record.role());
    service.stopping = true;
    launcher_.Stop(LaunchId(service.record),
                   now >= silent_at ? StopMode::kHurried : StopMode::kGraceful);
  }
  return std::min(silent_at, idle_at);
}

void ServicePool::Launch(Service& service, absl::Time now) {
  store::ServiceRecord& record = service.record;
  record.set_launch_number(record.launch_number() + 1);
  record.set_living(true);
  record.set_registered(false);
  record.clear_address();
  record.clear_metrics_address();
  service.heard = now;
  service.stopping = false;
  Save(service, /*durable=*/true);
  LaunchSpec launch = {
      .launch_id = LaunchId(record),
      .record_dir = StateLayout::ProcessDir(record.directory()),
      .log_file = StateLayout::LogFile(record.directory(), record.role(), record.launch_number()),
      .program = absl::StrCat(options_.bin_dir, "/", record.program())};
  launch.arguments.assign(record.arguments().begin(), record.arguments().end());
  launch.arguments.insert(launch.arguments.end(), {"--launch-id", launch.launch_id});
  const absl::Status status = launcher_.Start(launch);
  if (status.ok()) return;
  record.set_living(false);
  record.set_failure(absl::StrCat(record.role(), ": ", status.message()));
  Save(service, /*durable=*/true);
}

void ServicePool::StopAll() {
  closing_ = true;
  for (auto& [role, service] : services_) {
    if (!service.record.living()) continue;
    service.stopping = true;
    launcher_.Stop(LaunchId(service.record), StopMode::kGraceful);
  }
}

int ServicePool::living() const {
  return std::count_if(services_.begin(), services_.end(),
                       [](const auto& entry) { return entry.second.record.living(); });
}

std::vector<v1::Process> ServicePool::Processes(const std::string& job_id) const {
  std::vector<v1::Process> processes;
  for (const auto& [role, service] : services_) {
    if (!service.users.contains(job_id)) continue;
    const store::ServiceRecord& record = service.record;
    v1::Process& process = processes.emplace_back();
    process.set_launch_id(LaunchId(record));
    process.set_role(role);
    process.set_pid(record.pid());
    process.set_address(record.address());
    process.set_metrics_address(record.metrics_address());
    process.set_state(!record.living() ? "exited" : record.registered() ? "running" : "starting");
    process.set_restarts(record.restarts());
  }
  return processes;
}

absl::StatusOr<std::string> ServicePool::Address(const std::string& role) const {
  const auto found = services_.find(role);
  if (found == services_.end() || !found->second.record.registered()) {
    return absl::NotFoundError(absl::StrCat(role, " has not registered"));
  }
  return found->second.record.address();
}

absl::StatusOr<std::vector<std::string>> ServicePool::Logs(const std::string& job_id,
                                                           const std::string& role) const {
  for (const auto& [name, service] : services_) {
    const bool matches =
        name == role || (absl::StartsWith(name, role + "/") && service.users.contains(job_id));
    if (!matches) continue;
    std::vector<std::string> logs;
    for (int64_t number = 1; number <= service.record.launch_number(); ++number) {
      logs.push_back(StateLayout::LogFile(service.record.directory(), name, number));
    }
    return logs;
  }
  return absl::NotFoundError(absl::StrCat("job ", job_id, " has no process ", role));
}

void ServicePool::Save(const Service& service, bool durable) {
  const absl::Status status = store_.PutService(service.record, durable);
  if (!status.ok()) spdlog::error("{}", status.ToString());
}

}  // namespace reflux
