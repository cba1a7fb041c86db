// The orchestrator's memory: jobs and services in RocksDB. Thread-safe.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "orchestrator/store.pb.h"

namespace reflux {

class JobStore {
 public:
  // Creates the folder. FailedPrecondition when another process has it open.
  static absl::StatusOr<std::unique_ptr<JobStore>> Open(const std::string& directory);
  ~JobStore();

  // On disk when it returns if `durable`; otherwise it may be lost with the machine, not with the
  // process.
  absl::Status PutJob(const store::JobRecord& job, bool durable);
  absl::Status PutService(const store::ServiceRecord& service, bool durable);
  // DataLoss for a record that cannot be read.
  absl::StatusOr<std::vector<store::JobRecord>> Jobs() const;
  absl::StatusOr<std::vector<store::ServiceRecord>> Services() const;

 private:
  struct State;
  explicit JobStore(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace reflux
