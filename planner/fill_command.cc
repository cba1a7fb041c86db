// reflux-planner fill: computes what a job's cache lacks.
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/exit_codes.h"
#include "common/base/progress_bar.h"
#include "common/base/shutdown.h"
#include "common/base/status_macros.h"
#include "common/spec/job_file.h"
#include "common/spec/run_folders.h"
#include "planner/commands.h"
#include "planner/coverage.h"
#include "planner/fill.h"
#include "planner/forecast.h"
#include "planner/hashing_bar.h"
#include "planner/planner_flags.h"
#include "planner/teacher_needs.h"
#include "student_worker/target_path.h"

namespace reflux {
namespace {

// A teacher server that is being started evaluates its network first.
constexpr absl::Duration kTeacherStarts = absl::Minutes(10);

struct FillFlags : PlannerFlags {
  FillOptions fill;
};

class FillCommand {
 public:
  explicit FillCommand(const FillFlags& flags) : flags_(flags) {}
  // False when it was stopped before the end.
  absl::StatusOr<bool> Run();

 private:
  absl::StatusOr<Coverage> MeasureBefore();
  absl::Status OpenPath();
  absl::StatusOr<FillReport> FillTeacher(const TeacherNeeds& teacher);
  void Print(const Coverage& before) const;

  const FillFlags flags_;
  const std::shared_ptr<Cancellation> stop_ = InstallShutdownSignals();
  Cancellation::Registration on_stop_ = stop_->OnCancel(
      [] { spdlog::info("stopping; resumable (the third signal ends it at once)"); });
  v1::JobSpec spec_;
  JobNeeds needs_;
  std::unique_ptr<TargetPath> path_;
  std::unique_ptr<CacheInventory> inventory_;
  int64_t stored_ = 0;
  double seconds_ = 0;
};

// Before anything is loaded for good: often there is nothing to do.
absl::StatusOr<Coverage> FillCommand::MeasureBefore() {
  REFLUX_ASSIGN_OR_RETURN(const std::unique_ptr<CacheInventory> inventory,
                          OpenInventory(flags_, spec_));
  REFLUX_RETURN_IF_ERROR(inventory->Stats().status());
  HashingBar hashing;
  REFLUX_ASSIGN_OR_RETURN(needs_,
                          PlanJobNeeds(spec_, &ReadTeacherInfo, ManifestFolder(flags_, spec_),
                                       hashing.Watch(stop_.get())));
  hashing.Finish();
  return MeasureCoverage(needs_, *inventory);
}

absl::Status FillCommand::OpenPath() {
  TargetPathOptions options{.endpoints = {},
                            .cache_directory = RunCacheFolder(spec_, flags_.directory)};
  REFLUX_ASSIGN_OR_RETURN(options.endpoints, ParseTargetEndpoints(flags_.caches));
  REFLUX_ASSIGN_OR_RETURN(path_, OpenTargetPath(spec_, options, nullptr, stop_));
  if (path_->store() != nullptr) {
    inventory_ = MakeStoreInventory(*path_->store());
  } else {
    REFLUX_ASSIGN_OR_RETURN(inventory_, OpenInventory(flags_, spec_));
  }
  return absl::OkStatus();
}

absl::StatusOr<FillReport> FillCommand::FillTeacher(const TeacherNeeds& teacher) {
  const TeacherAccess access = path_->sources().at(teacher.name);
  if (access.storing == nullptr) {
    return absl::FailedPreconditionError(
        "--cache names teacher servers, which keep nothing: name a cache server");
  }
  // A cache remembers who was described to it, and names its sets so.
  REFLUX_RETURN_IF_ERROR(
      access.source
          ->GetTeacherInfo({.deadline = absl::Now() + kTeacherStarts, .cancellation = stop_})
          .status());
  ProgressBar bar(std::cerr,
                  {.label = "filling from " + teacher.info.model,
                   .unit = "targets",
                   .total = static_cast<int64_t>(needs_.samples.size() * teacher.specs.size()),
                   .terminal = IsTerminal(STDERR_FILENO)});
  FillOptions options = flags_.fill;
  options.stop = stop_;
  FillForecast forecast(static_cast<int64_t>(needs_.samples.size() * teacher.specs.size()), 0);
  const absl::Time begin = absl::Now();
  options.on_progress = [&, begun = false](int64_t held) mutable {
    if (!begun) bar.StartAt(held);
    begun = true;
    bar.Update(held);
    if (const auto line = forecast.Update(absl::ToDoubleSeconds(absl::Now() - begin), held)) {
      std::cerr << (IsTerminal(STDERR_FILENO) ? "\n" : "") << *line << std::endl;
    }
  };
  const auto report = Fill(teacher, needs_.samples, *inventory_, *access.storing, options);
  bar.Finish();
  return report;
}

void FillCommand::Print(const Coverage& before) const {
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
  REFLUX_ASSIGN_OR_RETURN(spec_, LoadJobFile(flags_.job, flags_.overrides));
  if (const std::string uncached = WhyUncached(spec_); !uncached.empty()) {
    return absl::InvalidArgumentError(uncached);
  }
  REFLUX_ASSIGN_OR_RETURN(const Coverage before, MeasureBefore());
  std::cerr << CoverageText(before, /*why=*/true);
  bool complete = true;
  if (before.held() < before.targets()) {
    REFLUX_RETURN_IF_ERROR(OpenPath());
    for (const TeacherNeeds& teacher : needs_.teachers) {
      REFLUX_ASSIGN_OR_RETURN(const FillReport report, FillTeacher(teacher));
      stored_ += report.stored;
      seconds_ += report.seconds;
      complete = complete && !report.stopped;
    }
  }
  Print(before);
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
      "fill", "Compute the targets that a job needs and its cache lacks; Ctrl-C is resumable");
  AddPlannerFlags(*command, *flags);
  command
      ->add_option("--requests", flags->fill.requests,
                   "Requests under way at once; more keep several teachers busy")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  command->callback([flags, exit_code] { *exit_code = RunFill(*flags); });
}

}  // namespace reflux
