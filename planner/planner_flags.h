// What the commands of reflux-planner have in common: the job, and the cache that it will use.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cache/inventory.h"
#include "reflux/v1/config.pb.h"

namespace reflux {

struct PlannerFlags {
  std::string job;
  std::vector<std::string> overrides;  // --set
  std::vector<std::string> caches;     // --cache: [TEACHER=]SERVERS; empty: those of a folder
  std::string directory;               // of the run; empty: runs/<job name>
  bool json = false;
};

void AddPlannerFlags(CLI::App& command, PlannerFlags& flags);

// Where digests of images are kept: in the run's folder if that exists or no server is named, else
// with the user's caches ($XDG_CACHE_HOME, ~/.cache).
std::string ManifestFolder(const PlannerFlags& flags, const v1::JobSpec& spec);

// Of the servers, all teachers' together, or of the folder.
absl::StatusOr<std::unique_ptr<CacheInventory>> OpenInventory(const PlannerFlags& flags,
                                                              const v1::JobSpec& spec);

// Why nothing of this job is ever cached, as a sentence; empty if it is.
std::string WhyUncached(const v1::JobSpec& spec);

}  // namespace reflux
