// What a training run tells the outside: logs, metrics, progress. Called on the training thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace reflux {

struct StepReport {
  int64_t step = 0;  // steps done, 1..total_steps
  int64_t total_steps = 0;
  double total_loss = 0;                 // of the global batch
  std::map<std::string, double> losses;  // each term, before its weight
  std::map<std::string, double> weights;
  double learning_rate = 0;
  double seconds = 0;         // of the step, waiting included
  double wait_seconds = 0;    // for the batch
  int64_t global_images = 0;  // of the global batch
  int64_t images = 0;         // of this rank's share of it
  int64_t target_count = 0;   // of this rank
  int64_t target_bytes = 0;
};

struct EvaluationReport {
  int64_t step = 0;
  double miou = 0;                // percent
  double miou_published = 0;      // percent, absent classes counted as 0
  double pixel_accuracy = 0;      // percent
  std::vector<double> class_iou;  // percent, NaN for an absent class
  double seconds = 0;
  // In classification, in place of the figures above, percent; top5 with more than five classes.
  std::optional<double> top1, top5;
};

class TrainingObserver {
 public:
  virtual ~TrainingObserver() = default;
  virtual void OnPhase(const std::string& phase) {}
  // Within the phase that hashes the data set: files done, of so many.
  virtual void OnHashed(int64_t done, int64_t total) {}
  virtual void OnStep(const StepReport& report) {}
  virtual void OnEvaluation(const EvaluationReport& report) {}
  virtual void OnCheckpoint(int64_t step, const std::string& path) {}
};

}  // namespace reflux
