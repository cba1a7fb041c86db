// reflux-teacher: runs a teacher network and serves what it says about images.
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "common/base/build_version.h"
#include "common/base/exit_codes.h"
#include "common/base/shutdown.h"
#include "common/membership/program_flags.h"
#include "common/spec/job_file.h"
#include "common/spec/job_teachers.h"
#include "job_plan/data_plan.h"
#include "job_plan/teacher_plan.h"
#include "teacher_server/teacher_server.h"

namespace reflux {
namespace {

struct Flags {
  std::string job, teacher = "default";
  TeacherServerOptions server;
  double max_delay_ms = 5;
  ProgramFlags program;
};

void AddFlags(CLI::App& app, Flags& flags) {
  app.add_option("--job", flags.job,
                 "Job file that describes the teacher and its data (YAML or JSON)")
      ->required();
  app.add_option("--teacher", flags.teacher, "Which of the job's `teachers`")
      ->capture_default_str();
  AddServerFlags(app, flags.server.listen, flags.server.endpoint_file, flags.server.insecure);
  app.add_option("--max-delay-ms", flags.max_delay_ms,
                 "How long a sample waits for others to share its forward")
      ->check(CLI::Range(0.0, 10000.0))
      ->capture_default_str();
  app.add_option("--max-queue", flags.server.max_queue,
                 "Samples waiting before callers are told to come back")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
  AddProgramFlags(app, flags.program);
}

int Fail(const absl::Status& status) {
  spdlog::error("reflux-teacher: {}", std::string(status.message()));
  // A taken port or a lost peer may be gone at the next try; a bad checkpoint will not.
  return absl::IsAlreadyExists(status) || absl::IsUnavailable(status) ? kExitFailed
                                                                      : kPermanentFailure;
}

int Run(Flags flags) {
  const std::shared_ptr<Cancellation> shutdown = InstallShutdownSignals();
  auto spec = LoadJobFile(flags.job, {});
  if (!spec.ok()) return Fail(spec.status());
  const auto teacher_spec = spec->teachers().find(TeacherNamed(*spec, flags.teacher));
  if (teacher_spec == spec->teachers().end()) {
    return Fail(absl::NotFoundError("the job file has no teacher '" + flags.teacher + "'"));
  }
  auto teacher = LoadTeacher(teacher_spec->second);
  if (!teacher.ok()) return Fail(teacher.status());
  auto miou = CheckTeacher(*teacher, teacher_spec->second, spec->data(), shutdown.get());
  if (absl::IsCancelled(miou.status())) return kExitStopped;
  if (!miou.ok()) return Fail(miou.status());
  spdlog::info("teacher {} {}: {:.1f} % mIoU on validation images", teacher->model->architecture(),
               teacher->identity.digest.Short(), *miou);

  const auto metrics = StartMetricsPage(flags.program);
  if (!metrics.ok()) return Fail(metrics.status());
  flags.server.data_root = DataRoot(spec->data());
  flags.server.read_label = PlanLabelReader(spec->data());
  flags.server.miou = *miou;
  flags.server.max_delay = absl::Milliseconds(flags.max_delay_ms);
  auto server = TeacherServer::Start(*std::move(teacher), flags.server, metrics->get());
  if (!server.ok()) return Fail(server.status());
  spdlog::info("reflux-teacher {} serves on {}", std::string(BuildVersion()), (*server)->address());
  const absl::Status served =
      ServeUntilStopped(flags.program, (*server)->address(), metrics->get(), *shutdown, [&server] {
        spdlog::info("reflux-teacher stops: calls under way have 10 s to end");
        (*server)->Shutdown(absl::Seconds(10));
      });
  return served.ok() ? kExitDone : Fail(served);
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
