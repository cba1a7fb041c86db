#include "planner/planner_flags.h"

#include <cstdlib>
#include <set>

#include "absl/strings/str_join.h"
#include "common/base/status_macros.h"
#include "common/spec/job_teachers.h"
#include "common/spec/run_folders.h"
#include "student_worker/target_path.h"

namespace reflux {

void AddPlannerFlags(CLI::App& command, PlannerFlags& flags) {
  command.add_option("file", flags.job, "Job file: YAML, or resolved JSON")->required();
  command
      .add_option("--set", flags.overrides,
                  "Override a field: PATH=VALUE, e.g. train.seed=3; may be repeated")
      ->type_name("PATH=VALUE")
      ->expected(1)
      ->take_all()
      ->allow_extra_args(false);
  CLI::Option* cache = command
                           .add_option("--cache", flags.caches,
                                       "Cache servers: host:port or @FILE, several with commas; of "
                                       "several teachers TEACHER=SERVERS, once for each")
                           ->type_name("[TEACHER=]SERVERS")
                           ->expected(1)
                           ->take_all()
                           ->allow_extra_args(false);
  command
      .add_option(
          "--dir", flags.directory,
          "Folder of a run on this machine, whose cache is meant (default: runs/<job name>)")
      ->excludes(cache);
  command.add_flag("--json", flags.json, "Print JSON");
}

std::string ManifestFolder(const PlannerFlags& flags, const v1::JobSpec& spec) {
  if (flags.caches.empty()) return RunFolder(spec, flags.directory) + "/manifests";
  const char* cache = std::getenv("XDG_CACHE_HOME");
  if (cache != nullptr && *cache != '\0') return std::string(cache) + "/reflux/manifests";
  const char* home = std::getenv("HOME");
  return std::string(home == nullptr ? "/tmp" : home) + "/.cache/reflux/manifests";
}

absl::StatusOr<std::unique_ptr<CacheInventory>> OpenInventory(const PlannerFlags& flags,
                                                              const v1::JobSpec& spec) {
  if (flags.caches.empty()) return OpenFolderInventory(RunCacheFolder(spec, flags.directory));
  REFLUX_ASSIGN_OR_RETURN(const TargetEndpoints endpoints, ParseTargetEndpoints(flags.caches));
  std::set<std::string> servers;  // teachers may share them
  for (const auto& [teacher, of_teacher] : endpoints) servers.insert(of_teacher);
  return MakeRemoteInventory(absl::StrJoin(servers, ","));
}

std::string WhyUncached(const v1::JobSpec& spec) {
  if (!NeedsTeacher(spec.losses())) return "No loss reads a teacher: there is nothing to cache.";
  if (spec.targets().cache() == "none") return "targets.cache is none: nothing is cached.";
  if (spec.targets().views() == "live") {
    return "targets.views is live: fresh views never come back, so nothing is cached.";
  }
  return "";
}

}  // namespace reflux
