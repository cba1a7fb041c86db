// What a resolved job means in processes: which services it shares with other jobs and the command
// lines of its workers. Thread-safe, no side effects but reading the checkpoint.
#pragma once

#include <map>
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
  std::string store;        // "rados:POOL", which they share; empty: each has a folder of the state
  std::string ceph_conf;    // empty: where Ceph looks for it
  std::string ceph_user;    // empty: admin
  double capacity_gib = 0;  // of each cache server, beyond which it evicts; 0: the disk's
};

struct ServicePlan {
  std::string role;     // "teacher/<hash>/<number>" or "cache/<name>/<hash>[.<number>]"
  std::string program;  // "reflux-teacher", "reflux-cache"
  std::vector<std::string> arguments;  // without --launch-id
  // Role of the teacher that a cache keeps alive after its last job; empty if none is started.
  std::string upstream;
};

struct JobPlan {
  std::vector<ServicePlan> services;
  std::vector<std::string> targets;  // what workers get as --targets, one a teacher
};

// For each teacher that the job uses SHA-256 of what decides its answers: the bytes of its
// checkpoints, layout, order of classes, numerics. The files are read whole, so not under a lock.
using TeacherIds = std::map<std::string, std::string>;
absl::StatusOr<TeacherIds> IdentifyTeachers(const v1::JobSpec& spec);

// The pool of a teacher is run.teachers processes, "teacher/<hash>/0" and up, which publish their
// endpoints in one folder: caches and students find them there. It is shared by jobs whose id,
// expected mIoU, device and validation data agree. A cache process (and its folder) by those that
// name the same cache and have the same id: RocksDB allows one process a folder, and a cache asks
// one teacher. With several caches a job each is such a process, numbered from the second.
JobPlan PlanJob(const v1::JobSpec& spec, const TeacherIds& teacher_ids, const StateLayout& state,
                const CacheSite& site = {});

// Rank `rank` of the record's current generation.
LaunchSpec WorkerLaunch(const store::JobRecord& job, const JobPlan& plan, int rank,
                        const StateLayout& state, const std::string& bin_dir);
std::string WorkerLaunchId(const std::string& job_id, int generation, int rank);

}  // namespace reflux
