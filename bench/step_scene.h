// What reflux-bench-step trains on: temporary images, an untrained teacher, its targets in every
// place from which a student can take them.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "bench/cache_process.h"
#include "bench/scratch_folder.h"
#include "bench/step_options.h"
#include "bench/step_student.h"
#include "cache/caching_source.h"
#include "cache/rocks_target_store.h"
#include "student_worker/batch_maker.h"

namespace reflux {

// A row of the result.
struct StepMode {
  std::string name;
  std::unique_ptr<BatchMaker> maker;
  bool wants_targets = false;
  bool wants_resident = false;  // the maker fetches nothing: targets come from memory
};

// One thread but for MakeBatch, which is thread-safe.
class StepScene {
 public:
  // Writes and fills everything, which runs the teacher once over all views.
  static absl::StatusOr<std::unique_ptr<StepScene>> Create(const StepBenchOptions& options);

  // plain, resident, live, warm_embedded, warm_grpc. The warm ones have no teacher behind them: a
  // miss is FailedPrecondition.
  const std::vector<StepMode>& modes() const { return modes_; }
  // Batch `step` (from 0 to options.steps - 1, the same samples in every mode).
  absl::StatusOr<Batch> MakeBatch(const StepMode& mode, int64_t step,
                                  const std::shared_ptr<Cancellation>& cancellation) const;
  StepStudent& student() { return *student_; }
  double ServerCpuSeconds() const { return cache_process_->CpuSeconds(); }
  absl::StatusOr<int64_t> TeacherImages() const;
  // Targets that every batch of a mode with targets must have.
  int64_t targets_per_step() const { return spec_.train().global_batch() * specs_.size(); }

 private:
  StepScene() = default;
  const std::string& root() const { return folder_->path(); }
  absl::Status MakeData(const StepBenchOptions& options);
  absl::Status MakeTeacherAndStudent(const StepBenchOptions& options);
  absl::Status FillCache(const StepBenchOptions& options);
  absl::Status OpenWarm(const StepBenchOptions& options);
  absl::StatusOr<std::unique_ptr<BatchMaker>> Maker(TargetSource* source) const;
  absl::Status AddMode(const std::string& name, TargetSource* source, bool resident);

  // Parts go in the reverse of this order: the folder when nobody has it open any more.
  std::unique_ptr<ScratchFolder> folder_;
  v1::JobSpec spec_;
  std::unique_ptr<Dataset> dataset_;
  SampleIdentities digests_;
  std::unique_ptr<StepStudent> student_;
  TeacherInfo teacher_;
  std::vector<TargetSpec> specs_;
  std::unique_ptr<TargetSource> local_, absent_, remote_;
  std::unique_ptr<RocksTargetStore> store_;
  std::unique_ptr<CachingSource> embedded_;
  std::unique_ptr<ChildProcess> cache_process_;
  std::vector<decltype(Batch::targets)> resident_;  // of every step
  std::vector<StepMode> modes_;
};

}  // namespace reflux
