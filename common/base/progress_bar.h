// How far long work is: one line redrawn on a terminal, plain lines in a log. Torch-free.
//
// The rate is that of the last minute or so, so that a slow start does not spoil the time left.
// Not thread-safe.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <ostream>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace reflux {

struct ProgressBarOptions {
  std::string label;           // "training", printed first
  std::string unit = "steps";  // plural
  int64_t total = 0;           // 0: not known, then neither bar nor time left
  // True: redraw one line. False: a line at a time, at most one every `line_interval`.
  bool terminal = false;
  absl::Duration line_interval = absl::Seconds(2);
  std::function<absl::Time()> now = absl::Now;
};

class ProgressBar {
 public:
  // `out` must outlive the bar. Work begins now, with nothing done.
  ProgressBar(std::ostream& out, const ProgressBarOptions& options);

  // `done` of the total so far (less than before: the work was set back), and a few more words.
  void Update(int64_t done, absl::string_view note = "");
  // Prints the last state, unless it stands there, and ends the line. Idempotent; nothing may
  // follow.
  void Finish();

  // The work was at `done` when this bar began: those are not counted into the rate.
  void StartAt(int64_t done) { recent_.front().done = done; }
  void SetLabel(const std::string& label) { options_.label = label; }
  void SetTotal(int64_t total) { options_.total = total; }

  // Units a second; 0 until two updates are known.
  double rate() const;
  // The line as it would be printed now, without the terminal's controls.
  std::string Line() const;

 private:
  struct Point {
    absl::Time time;
    int64_t done;
  };
  void Print();

  std::ostream& out_;
  ProgressBarOptions options_;
  std::deque<Point> recent_;
  std::string note_;
  absl::Time last_line_ = absl::InfinitePast();
  bool printed_ = true;  // the last update has been printed
  std::string shown_;    // the line that was printed last
  bool finished_ = false;
};

// For work that is often short: nothing is written until it has taken `patience`.
class LateBar {
 public:
  // `out` must outlive it.
  LateBar(std::ostream& out, const ProgressBarOptions& options,
          absl::Duration patience = absl::Seconds(1))
      : now_(options.now), show_from_(options.now() + patience), bar_(out, options) {}
  ~LateBar() { Finish(); }
  void Update(int64_t done);
  // Ends the line, if there is one. Idempotent; nothing may follow.
  void Finish();

 private:
  const std::function<absl::Time()> now_;
  const absl::Time show_from_;
  ProgressBar bar_;
  bool shown_ = false;
};

// Whether a person sees what is written to this file descriptor.
bool IsTerminal(int file_descriptor);

// "0:07", "12:05", "3:04:05"; "?" for what is not finite.
std::string ClockText(absl::Duration duration);

}  // namespace reflux
