// What the orchestrator's /metrics page shows. A null registry gives null sinks.
#pragma once

#include "common/metrics/registry.h"
#include "orchestrator/store.pb.h"

namespace reflux {

class OrchestratorMetrics {
 public:
  explicit OrchestratorMetrics(MetricRegistry* registry);

  void SetJobs(v1::JobState state, int count);
  void SetProcesses(int count);
  void AddRestarts(int64_t count);
  // The last training values of a job; they stay after its end.
  void SetProgress(const store::JobRecord& job);

 private:
  void Set(const char* name, const char* help, const MetricLabels& labels, double value);
  MetricRegistry* registry_;
};

}  // namespace reflux
