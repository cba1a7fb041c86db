// reflux-teacher: runs a teacher network and serves what it says about images.
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <memory>
#include <string>

#include "common/base/build_version.h"
#include "common/base/exit_codes.h"
#include "common/base/shutdown.h"
#include "common/base/status_macros.h"
#include "common/membership/program_flags.h"
#include "common/spec/job_file.h"
#include "common/spec/job_teachers.h"
#include "distill/data/dataset.h"
#include "distill/teacher/teacher_numerics.h"
#include "job_plan/data_plan.h"
#include "job_plan/open_teacher.h"
#include "job_plan/teacher_plan.h"
#include "teacher_server/teacher_server.h"

namespace reflux {
namespace {

struct Flags {
  std::string job, teacher = "default";
  TeacherServerOptions server;
  double max_delay_ms = 5, canary_seconds = 60, drain_seconds = 30;
  ProgramFlags program;
};

void AddServingFlags(CLI::App& app, Flags& flags) {
  app.add_option("--max-delay-ms", flags.max_delay_ms,
                 "How long a sample waits for others to share its forward")
      ->check(CLI::Range(0.0, 10000.0))
      ->capture_default_str();
  app.add_option("--max-queue", flags.server.max_queue,
                 "Samples waiting before callers are told to come back; prefill may use half")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
  app.add_option("--runners", flags.server.runners, "Forwards that run at once")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  app.add_option("--canary-dir", flags.server.canary_directory,
                 "Folder that remembers what a known image gave; another answer is an error");
  app.add_option("--canary-seconds", flags.canary_seconds,
                 "Time between checks that the known image still gives the same")
      ->check(CLI::Range(1.0, 1e6))
      ->capture_default_str();
  app.add_option("--drain-seconds", flags.drain_seconds,
                 "Time that accepted requests have to end when the program is stopped")
      ->check(CLI::Range(0.0, 1e6))
      ->capture_default_str();
}

void AddFlags(CLI::App& app, Flags& flags) {
  app.add_option(
         "--job", flags.job,
         "Job file that describes the teacher and its data (YAML or JSON); SIGHUP reads it and "
         "the checkpoint again")
      ->required();
  app.add_option("--teacher", flags.teacher, "Which of the job's `teachers`")
      ->capture_default_str();
  AddServerFlags(app, flags.server.listen, flags.server.endpoint_file, flags.server.insecure);
  AddServingFlags(app, flags);
  AddProgramFlags(app, flags.program);
}

int Fail(const absl::Status& status) {
  spdlog::error("reflux-teacher: {}", std::string(status.message()));
  // A taken port or a lost peer may be gone at the next try; a bad checkpoint will not.
  return absl::IsAlreadyExists(status) || absl::IsUnavailable(status) ? kExitFailed
                                                                      : kPermanentFailure;
}

// What the job file says now.
absl::StatusOr<ServedTeacher> Load(const Flags& flags, const LocalSourceMetrics& metrics,
                                   const Cancellation& cancellation) {
  REFLUX_ASSIGN_OR_RETURN(const v1::JobSpec spec, LoadJobFile(flags.job, {}));
  const std::string name = TeacherNamed(spec, flags.teacher);
  if (name.empty()) {
    return absl::NotFoundError("the job file has no teacher '" + flags.teacher + "'");
  }
  REFLUX_ASSIGN_OR_RETURN(const Numerics numerics, PlanNumerics(spec.teachers().at(name)));
  BeginRunnerThread(numerics);  // loading evaluates the teacher while the one before still serves
  OpenTeacherOptions options{
      .metrics = metrics, .runners = flags.server.runners, .cancellation = &cancellation};
  options.read_image = [root = DataRoot(spec.data())](const Locator& locator) {
    return ReadImageFile(root, locator);
  };
  options.read_label = PlanLabelReader(spec.data());
  REFLUX_ASSIGN_OR_RETURN(OpenedTeacher teacher, OpenTeacher(spec, name, options));
  ServedTeacher served{.source = std::move(teacher.source),
                       .identity = teacher.identity,
                       .bit_exact = teacher.bit_exact};
  served.begin_runner = [numerics] { BeginRunnerThread(numerics); };
  return served;
}

int Run(Flags flags) {
  // The signal thread outlives this function.
  const auto serving = std::make_shared<std::atomic<TeacherServer*>>(nullptr);
  std::atomic<bool> wrong = false;
  const std::shared_ptr<Cancellation> shutdown = InstallShutdownSignals([serving] {
    if (TeacherServer* server = *serving) server->RequestReload();
  });
  const auto metrics = StartMetricsPage(flags.program);
  if (!metrics.ok()) return Fail(metrics.status());
  LocalSourceMetrics local;
  if (*metrics != nullptr) local = LocalSourceMetrics::Register(**metrics);
  flags.server.max_delay = absl::Milliseconds(flags.max_delay_ms);
  flags.server.canary_interval = absl::Seconds(flags.canary_seconds);
  flags.server.on_wrong_arithmetic = [&wrong, shutdown] {
    wrong = true;
    shutdown->Cancel();
  };
  auto server = TeacherServer::Start([&] { return Load(flags, local, *shutdown); }, flags.server,
                                     metrics->get());
  if (absl::IsCancelled(server.status())) return kExitStopped;
  if (!server.ok()) return Fail(server.status());
  *serving = server->get();
  spdlog::info("reflux-teacher {} serves on {}", std::string(BuildVersion()), (*server)->address());
  const absl::Status served =
      ServeUntilStopped(flags.program, (*server)->address(), metrics->get(), *shutdown, [&] {
        *serving = nullptr;
        spdlog::info("reflux-teacher stops: requests that were accepted have {} s to end",
                     flags.drain_seconds);
        (*server)->Shutdown(absl::Seconds(flags.drain_seconds));
      });
  if (!served.ok()) return Fail(served);
  return wrong ? kExitFailed : kExitDone;
}

}  // namespace
}  // namespace reflux

int main(int argc, char** argv) {
  CLI::App app("Runs a teacher network and serves its logits and feature maps over gRPC.");
  reflux::Flags flags;
  reflux::AddFlags(app, flags);
  if (const auto exit_code = reflux::ParseFlags(app, argc, argv, flags.program)) return *exit_code;
  return reflux::Run(flags);
}
