// How far a run is, for the person before the terminal. Torch-free.
#pragma once

#include <functional>
#include <memory>
#include <ostream>

#include "absl/time/clock.h"
#include "common/base/progress_bar.h"
#include "student_worker/training_observer.h"

namespace reflux {

// One line, redrawn at every step: steps done, rate, time left, losses. A phase begins a new one,
// so that the time of an evaluation does not spoil the rate.
class BarObserver : public TrainingObserver {
 public:
  // `out`, a terminal, must outlive it.
  explicit BarObserver(std::ostream& out, std::function<absl::Time()> now = absl::Now)
      : out_(out), now_(std::move(now)) {}
  ~BarObserver() override { EndLine(); }
  void OnPhase(const std::string& phase) override;
  void OnHashed(int64_t done, int64_t total) override;
  void OnStep(const StepReport& report) override;

 private:
  void Begin(const std::string& label);
  void EndLine();

  std::ostream& out_;
  const std::function<absl::Time()> now_;
  std::unique_ptr<ProgressBar> bar_;
  bool shown_ = false;  // a step has been drawn
  std::unique_ptr<LateBar> hashing_;
  int64_t hashed_ = 0;
};

}  // namespace reflux
