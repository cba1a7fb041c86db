// What the commands of reflux-planner have in common: the job or sweep, and the cache that it will
// use.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cache/inventory.h"
#include "common/spec/sweep_jobs.h"
#include "planner/needs_union.h"
#include "reflux/v1/config.pb.h"

namespace reflux {

struct PlannerFlags {
  std::string job;
  std::vector<std::string> overrides;  // --set
  std::vector<std::string> caches;     // --cache: [TEACHER=]SERVERS; empty: those of a folder
  std::string directory;               // of the run; empty: runs/<name of job or sweep>
  bool json = false;
};

void AddPlannerFlags(CLI::App& command, PlannerFlags& flags);

// Where digests of images are kept: in the run's folder if that exists or no server is named, else
// with the user's caches ($XDG_CACHE_HOME, ~/.cache). `name` is that of the job or the sweep.
std::string ManifestFolder(const PlannerFlags& flags, const std::string& name);

// The cache servers of each teacher that the job's losses use, as --cache gives them; "" for the
// folder. InvalidArgument when --cache leaves a teacher out.
absl::StatusOr<ServersOf> ServersOfTeachers(const PlannerFlags& flags, const v1::JobSpec& spec);

// The folder of the embedded cache that all jobs of the file use. InvalidArgument for a sweep whose
// jobs do not name one cache: each run would keep its targets to itself.
absl::StatusOr<std::string> CacheFolderOf(const JobFile& file, const PlannerFlags& flags);

// Of `servers`, or for "" of the folder of the file's jobs.
absl::StatusOr<std::unique_ptr<CacheInventory>> OpenInventory(const std::string& servers,
                                                              const JobFile& file,
                                                              const PlannerFlags& flags);

// Why nothing of this job is ever cached, as a sentence; empty if it is.
std::string WhyUncached(const v1::JobSpec& spec);
// The same of a file none of whose jobs caches anything.
std::string WhyUncached(const JobFile& file);

}  // namespace reflux
