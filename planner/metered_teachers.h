// The teachers of a job that is measured, each over a temporary cache of its own.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cache/cache_server.h"
#include "cache/caching_source.h"
#include "cache/rocks_target_store.h"
#include "common/base/cancellation.h"
#include "planner/job_needs.h"
#include "planner/plan_text.h"
#include "planner/view_costs.h"
#include "reflux/v1/config.pb.h"
#include "student_worker/target_path.h"

namespace reflux {

// What one view costs of one teacher.
struct TeacherMeasure {
  std::string name;  // in the job
  TeacherIdentity identity;
  double view_seconds = 0;  // computed and stored, the teacher alone; 0: it was not measured
};

// Not thread-safe; calls block.
class MeteredTeachers {
 public:
  // Loads the teachers that the losses of `spec` use, without evaluating them. Caches are folders
  // below `scratch`, which exists and which its owner removes. Errors: those of OpenTeacher and of
  // the stores.
  static absl::StatusOr<std::unique_ptr<MeteredTeachers>> Open(const v1::JobSpec& spec,
                                                               const std::string& scratch);

  // Through its cache, so that the cache remembers the teacher when a server opens it.
  absl::StatusOr<TeacherInfo> Describe(const std::string& name);
  // The embedded caches, until Serve.
  std::map<std::string, TeacherAccess> sources();

  // Fills each cache with what `needs` lacks there, and times that. Cancelled when `stop` fired.
  absl::StatusOr<std::vector<TeacherMeasure>> TimeAlone(const JobNeeds& needs,
                                                        const std::shared_ptr<Cancellation>& stop);
  // The taps of all teachers, from at most one request of each, whose bytes are added to `costs`.
  absl::StatusOr<std::vector<PlanTap>> MeasureSizes(const JobNeeds& needs, ViewCosts& costs);
  // Every codec, and the job's own, `current`, on real maps, all taps of all teachers together.
  absl::StatusOr<std::vector<CodecMeasure>> MeasureCodecs(const JobNeeds& needs,
                                                          const std::string& current);
  // Hands the caches over to cache servers without teachers. Nothing else may be called afterwards.
  absl::StatusOr<TargetEndpoints> Serve();

 private:
  struct Metered {
    std::string folder;
    std::unique_ptr<TargetSource> local;
    std::unique_ptr<RocksTargetStore> store;
    std::unique_ptr<CachingSource> caching;
    std::unique_ptr<CacheServer> server;
  };
  std::map<std::string, Metered> teachers_;
};

}  // namespace reflux
