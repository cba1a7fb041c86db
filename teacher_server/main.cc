// reflux-teacher: runs a teacher network and serves what it says about images.
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <semaphore>
#include <string>

#include "common/base/build_version.h"
#include "common/base/exit_codes.h"
#include "common/base/shutdown.h"
#include "common/membership/membership_flags.h"
#include "common/metrics/prometheus_registry.h"
#include "common/spec/job_file.h"
#include "common/spec/job_teachers.h"
#include "job_plan/teacher_plan.h"
#include "teacher_server/teacher_server.h"

namespace reflux {
namespace {

struct Flags {
  std::string job, teacher = "default", metrics_listen, log_level = "info";
  TeacherServerOptions server;
  double max_delay_ms = 5;
  MembershipFlags membership;
};

void AddFlags(CLI::App& app, Flags& flags) {
  app.add_option("--job", flags.job,
                 "Job file that describes the teacher and its data (YAML or JSON)")
      ->required();
  app.add_option("--teacher", flags.teacher, "Which of the job's `teachers`")
      ->capture_default_str();
  app.add_option("--listen", flags.server.listen, "host:port to serve on; port 0: a free one")
      ->capture_default_str();
  app.add_option("--endpoint-file", flags.server.endpoint_file,
                 "File to write the own host:port to");
  app.add_option("--metrics-listen", flags.metrics_listen,
                 "host:port of the Prometheus page; none unless given");
  app.add_option("--max-delay-ms", flags.max_delay_ms,
                 "How long a sample waits for others to share its forward")
      ->check(CLI::Range(0.0, 10000.0))
      ->capture_default_str();
  app.add_option("--max-queue", flags.server.max_queue,
                 "Samples waiting before callers are told to come back")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
  app.add_option("--log-level", flags.log_level, "trace, debug, info, warn, error or off")
      ->capture_default_str();
  app.add_flag("--insecure", flags.server.insecure,
               "Allow listening beyond loopback: there is no TLS");
  app.set_version_flag("--version", std::string(BuildVersion()));
  AddMembershipFlags(app, flags.membership);
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

  std::unique_ptr<PrometheusRegistry> registry;
  if (!flags.metrics_listen.empty()) {
    auto started = PrometheusRegistry::Start(flags.metrics_listen);
    if (!started.ok()) return Fail(started.status());
    registry = *std::move(started);
  }
  flags.server.data_root = spec->data().root();
  flags.server.miou = *miou;
  flags.server.max_delay = absl::Milliseconds(flags.max_delay_ms);
  auto server = TeacherServer::Start(*std::move(teacher), flags.server, registry.get());
  if (!server.ok()) return Fail(server.status());
  auto membership = StartMembership(
      flags.membership,
      {.address = (*server)->address(), .metrics_address = registry ? registry->address() : ""},
      nullptr);
  if (!membership.ok()) return Fail(membership.status());
  spdlog::info("reflux-teacher {} serves on {}", std::string(BuildVersion()), (*server)->address());

  std::counting_semaphore<2> stop(0);
  const auto on_signal = shutdown->OnCancel([&stop] { stop.release(); });
  const auto on_wish = *membership
                           ? (*membership)->stop_requested()->OnCancel([&stop] { stop.release(); })
                           : nullptr;
  stop.acquire();
  spdlog::info("reflux-teacher stops: calls under way have 10 s to end");
  (*server)->Shutdown(absl::Seconds(10));
  return kExitDone;
}

}  // namespace
}  // namespace reflux

int main(int argc, char** argv) {
  CLI::App app("Runs a teacher network and serves its logits and feature maps over gRPC.");
  reflux::Flags flags;
  reflux::AddFlags(app, flags);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? reflux::kExitDone : reflux::kExitUsage;
  }
  spdlog::set_level(spdlog::level::from_str(flags.log_level));
  return reflux::Run(flags);
}
