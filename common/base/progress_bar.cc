#include "common/base/progress_bar.h"

#include <unistd.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace reflux {
namespace {

constexpr absl::Duration kWindow = absl::Minutes(1);
// Points further apart than this are enough to tell the rate.
constexpr absl::Duration kSpacing = absl::Seconds(1);
constexpr int kWidth = 24;

std::string Bar(int64_t done, int64_t total) {
  const int filled = static_cast<int>(kWidth * std::min(1.0, static_cast<double>(done) / total));
  return absl::StrCat("[", std::string(filled, '#'), std::string(kWidth - filled, '.'), "] ");
}

// Rates from hours a step to millions a second.
std::string RateText(double rate, const std::string& unit) {
  if (rate >= 100) return absl::StrFormat("%.0f %s/s", rate, unit);
  if (rate >= 1) return absl::StrFormat("%.1f %s/s", rate, unit);
  return absl::StrFormat("%.3g %s/s", rate, unit);
}

}  // namespace

ProgressBar::ProgressBar(std::ostream& out, const ProgressBarOptions& options)
    : out_(out), options_(options) {
  recent_.push_back({options_.now(), 0});
}

double ProgressBar::rate() const {
  const double seconds = absl::ToDoubleSeconds(recent_.back().time - recent_.front().time);
  return seconds > 0 ? (recent_.back().done - recent_.front().done) / seconds : 0;
}

void ProgressBar::Update(int64_t done, absl::string_view note) {
  const absl::Time now = options_.now();
  note_ = std::string(note);
  if (done < recent_.back().done) recent_.clear();
  // The newest point moves until it is far enough from the one before.
  if (recent_.size() > 1 && now - recent_[recent_.size() - 2].time < kSpacing) recent_.pop_back();
  recent_.push_back({now, done});
  while (recent_.size() > 2 && now - recent_.front().time > kWindow) recent_.pop_front();
  printed_ = false;
  if (options_.terminal || now - last_line_ >= options_.line_interval) Print();
}

void ProgressBar::Finish() {
  if (finished_) return;
  finished_ = true;
  if (!printed_ && Line() != shown_) Print();
  if (options_.terminal) out_ << std::endl;
}

void ProgressBar::Print() {
  printed_ = true;
  last_line_ = recent_.back().time;
  shown_ = Line();
  if (options_.terminal) {
    // Back to the first column, and clear what a longer line has left.
    out_ << "\r" << shown_ << "\033[K" << std::flush;
  } else {
    out_ << shown_ << std::endl;
  }
}

std::string ProgressBar::Line() const {
  const int64_t done = recent_.back().done, total = options_.total;
  std::string line = options_.label.empty() ? "" : absl::StrCat(options_.label, " ");
  if (total > 0 && options_.terminal) line += Bar(done, total);
  absl::StrAppend(&line, done, total > 0 ? absl::StrCat("/", total) : "", " ", options_.unit);
  const double speed = rate();
  if (speed > 0) {
    absl::StrAppend(&line, ", ", RateText(speed, options_.unit));
    if (total > 0) {
      absl::StrAppend(&line, ", ETA ", ClockText(absl::Seconds((total - done) / speed)));
    }
  }
  if (!note_.empty()) absl::StrAppend(&line, ", ", note_);
  return line;
}

void LateBar::Update(int64_t done) {
  shown_ = shown_ || now_() >= show_from_;
  if (shown_) bar_.Update(done);
}

void LateBar::Finish() {
  if (shown_) bar_.Finish();
}

bool IsTerminal(int file_descriptor) { return isatty(file_descriptor) == 1; }

std::string ClockText(absl::Duration duration) {
  if (duration == absl::InfiniteDuration() || duration < absl::ZeroDuration()) return "?";
  const int64_t seconds = absl::ToInt64Seconds(duration + absl::Milliseconds(500));
  if (seconds >= 3600) {
    return absl::StrFormat("%d:%02d:%02d", seconds / 3600, seconds / 60 % 60, seconds % 60);
  }
  return absl::StrFormat("%d:%02d", seconds / 60, seconds % 60);
}

}  // namespace reflux
