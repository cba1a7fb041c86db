#include "student_worker/bar_observer.h"

#include "common/base/loss_text.h"

namespace reflux {

void BarObserver::Begin(const std::string& label) {
  EndLine();
  bar_ = std::make_unique<ProgressBar>(
      out_, ProgressBarOptions{.label = label, .terminal = true, .now = now_});
}

void BarObserver::EndLine() {
  if (shown_) bar_->Finish();
  shown_ = false;
  hashing_.reset();
  bar_.reset();
}

void BarObserver::OnPhase(const std::string& phase) { Begin(phase); }

void BarObserver::OnHashed(int64_t done, int64_t total) {
  if (hashing_ == nullptr || done < hashed_) {  // images, then perhaps labels
    hashing_ = std::make_unique<LateBar>(
        out_,
        ProgressBarOptions{
            .label = "hashing", .unit = "files", .total = total, .terminal = true, .now = now_});
  }
  hashed_ = done;
  hashing_->Update(done);
}

void BarObserver::OnStep(const StepReport& report) {
  if (bar_ == nullptr) Begin("training");
  // Steps of before this phase, or before the run was resumed, say nothing about the rate.
  if (!shown_) bar_->StartAt(report.step - 1);
  shown_ = true;
  bar_->SetTotal(report.total_steps);
  bar_->Update(report.step, LossText(report.total_loss, report.losses));
}

}  // namespace reflux
