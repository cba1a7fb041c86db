#include "planner/planner_flags.h"

#include <cstdlib>
#include <map>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/spec/job_teachers.h"
#include "common/spec/run_folders.h"
#include "student_worker/target_path.h"

namespace reflux {

void AddPlannerFlags(CLI::App& command, PlannerFlags& flags) {
  command.add_option("file", flags.job, "Job file or sweep: YAML, or a resolved job in JSON")
      ->required();
  command
      .add_option("--set", flags.overrides,
                  "Override a field, of a sweep in every job: PATH=VALUE, e.g. train.seed=3; may "
                  "be repeated")
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
      .add_option("--dir", flags.directory,
                  "Folder of a run on this machine, whose cache is meant unless the job names one "
                  "(default: "
                  "runs/<name of the job or sweep>)")
      ->excludes(cache);
  command.add_flag("--json", flags.json, "Print JSON");
}

std::string ManifestFolder(const PlannerFlags& flags, const std::string& name) {
  if (flags.caches.empty()) return RunFolder(name, flags.directory) + "/manifests";
  const char* cache = std::getenv("XDG_CACHE_HOME");
  if (cache != nullptr && *cache != '\0') return std::string(cache) + "/reflux/manifests";
  const char* home = std::getenv("HOME");
  return std::string(home == nullptr ? "/tmp" : home) + "/.cache/reflux/manifests";
}

absl::StatusOr<ServersOf> ServersOfTeachers(const PlannerFlags& flags, const v1::JobSpec& spec) {
  REFLUX_ASSIGN_OR_RETURN(const TargetEndpoints endpoints, ParseTargetEndpoints(flags.caches));
  ServersOf servers;
  for (const std::string& teacher : UsedTeachers(spec)) {
    auto found = endpoints.find(teacher);
    if (found == endpoints.end()) found = endpoints.find("");
    if (found == endpoints.end() && !endpoints.empty()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "--cache: no servers for the teacher ", teacher, ": give --cache ", teacher, "=SERVERS"));
    }
    servers[teacher] = endpoints.empty() ? "" : found->second;
  }
  return servers;
}

absl::StatusOr<std::string> CacheFolderOf(const JobFile& file, const PlannerFlags& flags) {
  if (!file.sweep) return RunCacheFolder(file.jobs.front().spec, flags.directory);
  std::map<std::string, const v1::JobSpec*> caches;
  for (const SweepJob& job : file.jobs) {
    if (NeedsTeacher(job.spec.losses())) caches[job.spec.targets().cache()] = &job.spec;
  }
  if (caches.size() > 1) caches.erase("none");
  if (caches.size() == 1 && !caches.begin()->first.empty()) {
    return RunCacheFolder(*caches.begin()->second, flags.directory);
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "targets.cache: the jobs of ", file.name, " name ",
      caches.size() > 1 ? "several caches" : "no cache",
      "; on one machine they share their targets in one that has a name: add --set targets.cache=",
      file.name, ", or name cache servers with --cache"));
}

absl::StatusOr<std::unique_ptr<CacheInventory>> OpenInventory(const std::string& servers,
                                                              const JobFile& file,
                                                              const PlannerFlags& flags) {
  if (!servers.empty()) return MakeRemoteInventory(servers);
  REFLUX_ASSIGN_OR_RETURN(const std::string folder, CacheFolderOf(file, flags));
  return OpenFolderInventory(folder);
}

std::string WhyUncached(const v1::JobSpec& spec) {
  if (!NeedsTeacher(spec.losses())) return "No loss reads a teacher: there is nothing to cache.";
  if (spec.targets().cache() == "none") return "targets.cache is none: nothing is cached.";
  if (spec.targets().views() == "live") {
    return "targets.views is live: fresh views never come back, so nothing is cached.";
  }
  return "";
}

std::string WhyUncached(const JobFile& file) {
  std::string why;
  for (const SweepJob& job : file.jobs) {
    why = WhyUncached(job.spec);
    if (why.empty()) break;
  }
  return why;
}

}  // namespace reflux
