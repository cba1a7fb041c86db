// reflux-planner fill: computes what a job's cache lacks.
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "absl/time/clock.h"
#include "common/base/exit_codes.h"
#include "common/base/progress_bar.h"
#include "common/base/shutdown.h"
#include "common/base/status_macros.h"
#include "planner/commands.h"
#include "planner/fill.h"
#include "planner/forecast.h"
#include "planner/planned_jobs.h"
#include "student_worker/target_path.h"

namespace reflux {
namespace {

// A teacher server that is being started evaluates its network first.
constexpr absl::Duration kTeacherStarts = absl::Minutes(10);

struct FillFlags : PlannerFlags {
  FillOptions fill;
};

// What the user sees of a fill: one bar over all teachers and jobs, and a forecast each minute.
class FillProgress {
 public:
  FillProgress(int64_t held, int64_t targets)
      : before_(held),
        bar_(std::cerr, {.label = "filling",
                         .unit = "targets",
                         .total = targets,
                         .terminal = IsTerminal(STDERR_FILENO)}),
        forecast_(targets, 0) {
    bar_.StartAt(held);
  }
  ~FillProgress() { bar_.Finish(); }
  // Of the part that is filled now, of which `held` were there before.
  void Begin(const NeedsPart& part, int64_t held) {
    bar_.SetLabel("filling from " + part.teacher.info.model);
    part_ = held;
  }
  void Update(int64_t held_of_part) {
    const int64_t held = before_ + held_of_part - part_;
    bar_.Update(held);
    if (const auto line = forecast_.Update(absl::ToDoubleSeconds(absl::Now() - begin_), held)) {
      std::cerr << (IsTerminal(STDERR_FILENO) ? "\n" : "") << *line << std::endl;
    }
  }
  void End(int64_t held_of_part) { before_ += held_of_part - part_; }

 private:
  int64_t before_;  // held of all, but for what was added to the part since Begin
  int64_t part_ = 0;
  ProgressBar bar_;
  FillForecast forecast_;
  const absl::Time begin_ = absl::Now();
};

class FillCommand {
 public:
  explicit FillCommand(const FillFlags& flags) : flags_(flags) {}
  // False when it was stopped before the end.
  absl::StatusOr<bool> Run();

 private:
  absl::Status OpenPath(const NeedsPart& part);
  absl::StatusOr<bool> FillAll();
  absl::StatusOr<FillReport> FillPart(const NeedsPart& part, FillProgress& progress);
  absl::StatusOr<CacheInventory*> InventoryOf(const NeedsPart& part);
  void Print() const;

  const FillFlags flags_;
  const std::shared_ptr<Cancellation> stop_ = InstallShutdownSignals();
  Cancellation::Registration on_stop_ = stop_->OnCancel(
      [] { spdlog::info("stopping; resumable (the third signal ends it at once)"); });
  JobFile file_;
  PlannedJobs planned_;
  std::unique_ptr<TargetPath> path_;
  std::optional<size_t> place_;  // whose path is open
  Inventories inventories_;
  int64_t stored_ = 0;
  double seconds_ = 0;
};

// Parts of one place stand together. An embedded cache has one owner: the path before is closed.
absl::Status FillCommand::OpenPath(const NeedsPart& part) {
  if (place_ == part.place) return absl::OkStatus();
  inventories_.clear();
  path_.reset();
  const v1::JobSpec& spec = planned_.jobs[part.place].spec;
  TargetPathOptions options;
  REFLUX_ASSIGN_OR_RETURN(options.endpoints, ParseTargetEndpoints(flags_.caches));
  if (options.endpoints.empty()) {
    REFLUX_ASSIGN_OR_RETURN(options.cache_directory, CacheFolderOf(file_, flags_));
  } else {
    REFLUX_ASSIGN_OR_RETURN(options.endpoints, ServersOfTeachers(flags_, spec));
  }
  REFLUX_ASSIGN_OR_RETURN(path_, OpenTargetPath(spec, options, nullptr, stop_));
  place_ = part.place;
  return absl::OkStatus();
}

absl::StatusOr<CacheInventory*> FillCommand::InventoryOf(const NeedsPart& part) {
  std::unique_ptr<CacheInventory>& inventory = inventories_[part.servers];
  if (inventory != nullptr) return inventory.get();
  if (path_->store() != nullptr) {
    inventory = MakeStoreInventory(*path_->store());
  } else {
    REFLUX_ASSIGN_OR_RETURN(inventory, OpenInventory(part.servers, file_, flags_));
  }
  return inventory.get();
}

absl::StatusOr<FillReport> FillCommand::FillPart(const NeedsPart& part, FillProgress& progress) {
  REFLUX_RETURN_IF_ERROR(OpenPath(part));
  REFLUX_ASSIGN_OR_RETURN(CacheInventory * inventory, InventoryOf(part));
  const TeacherAccess access = path_->sources().at(part.teacher.name);
  if (access.storing == nullptr) {
    return absl::FailedPreconditionError(
        "--cache names teacher servers, which keep nothing: name a cache server");
  }
  // A cache remembers who was described to it, and names its sets so.
  REFLUX_RETURN_IF_ERROR(
      access.source
          ->GetTeacherInfo({.deadline = absl::Now() + kTeacherStarts, .cancellation = stop_})
          .status());
  FillOptions options = flags_.fill;
  options.stop = stop_;
  options.on_progress = [&](int64_t held) { progress.Update(held); };
  return Fill(part.teacher, part.samples, *inventory, *access.storing, options);
}

// Teacher after teacher, each with all that the jobs want of it.
absl::StatusOr<bool> FillCommand::FillAll() {
  FillProgress progress(planned_.coverage.held(), planned_.coverage.targets());
  for (size_t i = 0; i < planned_.parts.size() && !stop_->cancelled(); ++i) {
    const PartCoverage& before = planned_.coverage.parts[i];
    if (before.missing_samples == 0) continue;
    progress.Begin(planned_.parts[i], before.held);
    REFLUX_ASSIGN_OR_RETURN(const FillReport report, FillPart(planned_.parts[i], progress));
    progress.End(report.held + report.stored);
    stored_ += report.stored;
    seconds_ += report.seconds;
    if (report.stopped) return false;
  }
  return !stop_->cancelled();
}

void FillCommand::Print() const {
  const Coverage& before = planned_.coverage;
  const int64_t held = before.held() + stored_;
  if (flags_.json) {
    std::cout << nlohmann::json({{"targets", before.targets()},
                                 {"held_before", before.held()},
                                 {"stored", stored_},
                                 {"held", held},
                                 {"seconds", seconds_}})
                     .dump()
              << "\n";
  } else {
    std::cout << held << " of " << before.targets() << " targets cached, " << stored_
              << " by this fill.\n";
  }
}

absl::StatusOr<bool> FillCommand::Run() {
  REFLUX_ASSIGN_OR_RETURN(file_, LoadJobs(flags_.job, flags_.overrides));
  if (const std::string uncached = WhyUncached(file_); !uncached.empty()) {
    return absl::InvalidArgumentError(uncached);
  }
  // Before anything is loaded for good: often there is nothing to do.
  REFLUX_ASSIGN_OR_RETURN(planned_, PlanJobs(file_, flags_, /*suppose_cached=*/false, stop_.get()));
  std::cerr << CoverageText(planned_.coverage, /*why=*/true);
  bool complete = true;
  if (planned_.coverage.held() < planned_.coverage.targets()) {
    REFLUX_ASSIGN_OR_RETURN(complete, FillAll());
  }
  Print();
  return complete;
}

int RunFill(const FillFlags& flags) {
  const absl::StatusOr<bool> complete = FillCommand(flags).Run();
  if (!complete.ok()) {
    return absl::IsCancelled(complete.status()) ? kExitStopped : Fail(complete.status());
  }
  if (*complete) return kExitDone;
  spdlog::info("stopped before the end; the same command goes on with what is missing");
  return kExitStopped;
}

}  // namespace

void AddFillCommand(CLI::App& app, int* exit_code) {
  auto flags = std::make_shared<FillFlags>();
  CLI::App* command = app.add_subcommand(
      "fill",
      "Compute the targets that a job, or a sweep, needs and its cache lacks; Ctrl-C is "
      "resumable");
  AddPlannerFlags(*command, *flags);
  command
      ->add_option("--requests", flags->fill.requests,
                   "Requests under way at once; more keep several teachers busy")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  command->callback([flags, exit_code] { *exit_code = RunFill(*flags); });
}

}  // namespace reflux
