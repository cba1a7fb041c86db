// reflux-worker: trains a student, alone or as one rank of several.
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <string>

#include "common/base/exit_codes.h"
#include "common/base/progress_bar.h"
#include "student_worker/worker.h"

namespace {

void AddFlags(CLI::App& app, reflux::WorkerFlags& flags, bool& standalone) {
  app.add_option("--job", flags.job, "Job file (YAML, or resolved JSON)")->required();
  app.add_option("--dir", flags.directory,
                 "Folder of the run: checkpoints, metrics.jsonl, student.safetensors")
      ->required();
  app.add_option("--rank", flags.rank, "This process among the students")->capture_default_str();
  app.add_option("--world-size", flags.world_size, "Number of students")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  app.add_option(
      "--targets", flags.targets,
      "[TEACHER=]SERVERS, once for each teacher of the job: host:port or @FILE of its cache or "
      "teacher server, several cache servers separated by commas or as @DIR, a folder of such "
      "files, "
      "or @DIR/, a folder of teacher servers; without it the teachers run in this process");
  app.add_option(
      "--cache-dir", flags.cache_directory,
      "Folder of the cache when the teacher runs in this process (default: cache/ in --dir)");
  app.add_option("--store", flags.store,
                 "Ranks above 0 without an orchestrator: the store that rank 0 logs");
  app.add_flag("--standalone", standalone,
               "One process: student, teacher and cache; no server is needed");
  reflux::AddProgramFlags(app, flags.program);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Trains a student network, distilling from a teacher's targets.");
  reflux::WorkerFlags flags;
  bool standalone = false;
  AddFlags(app, flags, standalone);
  if (const auto exit_code = reflux::ParseFlags(app, argc, argv, flags.program)) return *exit_code;
  if (flags.rank < 0 || flags.rank >= flags.world_size) {
    spdlog::error("--rank must be below --world-size");
    return reflux::kExitUsage;
  }
  if (standalone && (flags.world_size > 1 || !flags.targets.empty() ||
                     !flags.program.membership.orchestrator.empty())) {
    spdlog::error("--standalone excludes --world-size, --targets and --orchestrator");
    return reflux::kExitUsage;
  }
  flags.bar = standalone && reflux::IsTerminal(STDOUT_FILENO);
  const int exit_code = reflux::RunWorker(flags);
  // A person (`reflux run`) sees one code for what failed; who restarts workers needs two.
  return standalone && exit_code == reflux::kPermanentFailure ? reflux::kExitFailed : exit_code;
}
