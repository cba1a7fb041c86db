// The student's end of the target path: remote caches or teachers, or everything in this process.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cache/target_store.h"
#include "common/base/cancellation.h"
#include "common/metrics/registry.h"
#include "common/targets/target.h"
#include "reflux/v1/config.pb.h"
#include "student_worker/teacher_access.h"

namespace reflux {

// Where targets are fetched, by the teacher's name in the job; the name "" stands for the only one.
using TargetEndpoints = std::map<std::string, std::string>;

// From "[TEACHER=]ENDPOINT" of the command line. InvalidArgument when a teacher stands there twice.
absl::StatusOr<TargetEndpoints> ParseTargetEndpoints(const std::vector<std::string>& flags);

struct TargetPathOptions {
  // Cache or teacher servers (common/rpc/server_list.h), or "@FOLDER/": a pool of teacher servers
  // (common/targets/pooled_source.h). Empty: the teachers run in this process.
  TargetEndpoints endpoints;
  // Folder of the embedded cache; used when `endpoints` is empty and the job wants a cache.
  std::string cache_directory;
};

// The parts in the order in which they need each other; `sources` are what the trainer uses, by the
// names of the teachers that the losses use.
class TargetPath {
 public:
  virtual ~TargetPath() = default;
  virtual std::map<std::string, TeacherAccess> sources() = 0;
  // The embedded cache; null when a server answers or nothing is cached.
  virtual TargetStore* store() { return nullptr; }
};

// Without sources when the job has no loss that reads a teacher. Embedded teachers are loaded and
// evaluated (job_plan/open_teacher.h) here, which takes a while; `registry` may be null.
// InvalidArgument when the endpoints are not those of the job's teachers.
absl::StatusOr<std::unique_ptr<TargetPath>> OpenTargetPath(
    const v1::JobSpec& spec, const TargetPathOptions& options, MetricRegistry* registry,
    const std::shared_ptr<Cancellation>& cancellation);

}  // namespace reflux
