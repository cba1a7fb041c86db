// The observers of a run: metrics.jsonl, log lines, Prometheus, and progress for the orchestrator.
#pragma once

#include <cstdio>
#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/base/mutex.h"
#include "common/metrics/registry.h"
#include "reflux/v1/jobs.pb.h"
#include "student_worker/training_observer.h"

namespace reflux {

// One JSON object a line, appended: {"kind": "step" | "evaluation" | "checkpoint", "generation",
// "step",
// ...}. Numbers are written so that reading them gives the same double.
class JsonlObserver : public TrainingObserver {
 public:
  static absl::StatusOr<std::unique_ptr<JsonlObserver>> Open(const std::string& path,
                                                             int generation);
  ~JsonlObserver() override;
  void OnStep(const StepReport& report) override;
  void OnEvaluation(const EvaluationReport& report) override;
  void OnCheckpoint(int64_t step, const std::string& path) override;

 private:
  JsonlObserver(std::FILE* file, int generation) : file_(file), generation_(generation) {}
  void WriteAccuracy(const EvaluationReport& report);
  void Write(const std::string& line);
  std::FILE* const file_;
  const int generation_;
};

// Lines for people, one every `log_every` steps; 0: none of steps.
class LogObserver : public TrainingObserver {
 public:
  explicit LogObserver(int log_every) : log_every_(log_every) {}
  void OnPhase(const std::string& phase) override;
  void OnHashed(int64_t done, int64_t total) override;
  void OnStep(const StepReport& report) override;
  void OnEvaluation(const EvaluationReport& report) override;
  void OnCheckpoint(int64_t step, const std::string& path) override;

 private:
  const int log_every_;
  absl::Time hashing_told_ = absl::Now();  // or when the phase began
};

// reflux_worker_*: training values from rank 0 only, timings from every rank.
class MetricsObserver : public TrainingObserver {
 public:
  MetricsObserver(MetricRegistry& registry, int rank);
  void OnStep(const StepReport& report) override;
  void OnEvaluation(const EvaluationReport& report) override;

 private:
  MetricRegistry& registry_;
  const bool values_;
  void SetAccuracy(const EvaluationReport& report);
  std::map<std::string, Gauge> terms_;       // by the loss's name
  std::map<std::string, Gauge> accuracies_;  // of a classifier, by their own name
  Gauge step_, total_steps_, loss_, learning_rate_, miou_, pixel_accuracy_;
  Counter images_, targets_, target_bytes_;
  Histogram step_seconds_, wait_seconds_;
};

// The newest state of the run, for heartbeats. Thread-safe.
class ProgressObserver : public TrainingObserver {
 public:
  void OnPhase(const std::string& phase) override;
  void OnStep(const StepReport& report) override;
  void OnEvaluation(const EvaluationReport& report) override;
  void OnCheckpoint(int64_t step, const std::string& path) override;
  v1::Progress Snapshot() const;

 private:
  mutable Mutex mutex_;
  v1::Progress progress_ REFLUX_GUARDED_BY(mutex_) = [] {
    v1::Progress progress;
    progress.set_miou(-1);
    return progress;
  }();
};

}  // namespace reflux
