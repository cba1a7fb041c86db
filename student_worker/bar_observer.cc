#include "student_worker/bar_observer.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace reflux {
namespace {

std::string LossesText(const StepReport& report) {
  std::vector<std::string> terms;
  for (const auto& [name, value] : report.losses) {
    if (name.find('.') != std::string::npos) continue;  // a part of a term: too much for one line
    terms.push_back(absl::StrFormat("%s %.4g", name, value));
  }
  return absl::StrCat(absl::StrFormat("loss %.4g", report.total_loss),
                      terms.empty() ? "" : absl::StrCat(" (", absl::StrJoin(terms, ", "), ")"));
}

}  // namespace

void BarObserver::Begin(const std::string& label) {
  EndLine();
  bar_ = std::make_unique<ProgressBar>(
      out_, ProgressBarOptions{.label = label, .terminal = true, .now = now_});
}

void BarObserver::EndLine() {
  if (shown_) bar_->Finish();
  shown_ = false;
  bar_.reset();
}

void BarObserver::OnPhase(const std::string& phase) { Begin(phase); }

void BarObserver::OnStep(const StepReport& report) {
  if (bar_ == nullptr) Begin("training");
  // Steps of before this phase, or before the run was resumed, say nothing about the rate.
  if (!shown_) bar_->StartAt(report.step - 1);
  shown_ = true;
  bar_->SetTotal(report.total_steps);
  bar_->Update(report.step, LossesText(report));
}

}  // namespace reflux
