// The student's end of the target path: a remote cache or teacher, or everything in this process.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "cache/target_store.h"
#include "common/base/cancellation.h"
#include "common/metrics/registry.h"
#include "common/targets/target.h"
#include "reflux/v1/config.pb.h"
#include "student_worker/cache_notes.h"

namespace reflux {

struct TargetPathOptions {
  // Cache or teacher servers (common/rpc/server_list.h); empty: the teacher runs in this process.
  std::string servers;
  // Folder of the embedded cache; used when `servers` is empty and the job wants a cache.
  std::string cache_directory;
};

// The parts in the order in which they need each other; `source` is what the trainer uses.
class TargetPath {
 public:
  virtual ~TargetPath() = default;
  virtual TargetSource& source() = 0;
  // The same past the cache of this process; null: there is no such way.
  virtual TargetSource* fresh_source() { return nullptr; }
  virtual CacheNotes* notes() = 0;  // null: no cache
  // For a caller that only wants the targets cached; only where there is a cache.
  virtual TargetSource& storing() = 0;
  // The embedded cache; null when a server answers or nothing is cached.
  virtual TargetStore* store() { return nullptr; }
};

// Null when the job has no loss that reads a teacher. An embedded teacher is loaded and evaluated
// (job_plan/teacher_plan.h) here, which takes a while; `registry` may be null.
absl::StatusOr<std::unique_ptr<TargetPath>> OpenTargetPath(
    const v1::JobSpec& spec, const TargetPathOptions& options, MetricRegistry* registry,
    const std::shared_ptr<Cancellation>& cancellation);

}  // namespace reflux
