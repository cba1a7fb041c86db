// What a resolved job means in processes: which services it shares with other jobs and the command
// lines of its workers. Thread-safe, no side effects but reading the checkpoint.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "orchestrator/launcher.h"
#include "orchestrator/state_layout.h"
#include "orchestrator/store.pb.h"
#include "reflux/v1/config.pb.h"

namespace reflux {

// Where cache servers keep targets, the same for all jobs of an orchestrator.
struct CacheSite {
  std::string store;      // "rados:POOL", which they share; empty: each has a folder of the state
  std::string ceph_conf;  // empty: where Ceph looks for it
  std::string ceph_user;  // empty: admin
};

struct ServicePlan {
  std::string role;                    // "teacher/<hash>" or "cache/<name>/<hash>[.<number>]"
  std::string program;                 // "reflux-teacher", "reflux-cache"
  std::vector<std::string> arguments;  // without --launch-id
  std::string upstream;  // role of the teacher behind a cache; empty if none is started
};

struct JobPlan {
  std::vector<ServicePlan> services;
  std::string targets;  // what workers get as --targets; empty: no teacher
};

// SHA-256 of what decides the teacher's answers: the bytes of the checkpoint, layout, numerics. The
// file is read whole, so not under a lock. Empty when the job needs no teacher.
absl::StatusOr<std::string> TeacherId(const v1::JobSpec& spec);

// A teacher is shared by jobs whose TeacherId, expected mIoU, device and validation data agree. A
// cache process (and its folder) by those that name the same cache and have the same TeacherId:
// RocksDB allows one process a folder, and a cache asks one teacher. With several caches a job each
// is such a process, numbered from the second.
JobPlan PlanJob(const v1::JobSpec& spec, const std::string& teacher_id, const StateLayout& state,
                const CacheSite& site = {});

// Rank `rank` of the record's current generation.
LaunchSpec WorkerLaunch(const store::JobRecord& job, const JobPlan& plan, int rank,
                        const StateLayout& state, const std::string& bin_dir);
std::string WorkerLaunchId(const std::string& job_id, int generation, int rank);

}  // namespace reflux
