#include "planner/forecast.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/table.h"
#include "common/base/progress_bar.h"

namespace reflux {
namespace {

constexpr double kMinute = 60;
// Modes closer than this are the same: then the cache is preferred, whose views come back.
constexpr double kTie = 0.03;
// Pages of files rarely get all memory.
constexpr double kPageCacheShare = 0.8;

double BatchBytes(const ForecastJob& job, const Measured& m) {
  return m.view_bytes * static_cast<double>(job.global_batch);
}

// Steps that compute all their targets, worth what the missing ones cost.
double MissingSteps(const ForecastJob& job) {
  return static_cast<double>(job.missing_views) * job.missing_time /
         static_cast<double>(job.global_batch);
}

bool FitsInMemory(const ForecastJob& job, const Measured& m) {
  return m.memory_bytes <= 0 ||
         m.view_bytes * static_cast<double>(job.views) <= kPageCacheShare * m.memory_bytes;
}

// A warm step when its targets must come from the drive.
double FromDrive(double step, const ForecastJob& job, const Measured& m) {
  if (FitsInMemory(job, m) || m.drive_read <= 0) return step;
  return std::max(step, BatchBytes(job, m) / m.drive_read);
}

double Written(double step, const ForecastJob& job, const Measured& m) {
  return m.drive_write <= 0 ? step : std::max(step, BatchBytes(job, m) / m.drive_write);
}

ModeForecast Replay(const std::string& name, double warm, const ForecastJob& job,
                    const Measured& m) {
  ModeForecast mode{.name = name, .step_seconds = FromDrive(warm, job, m)};
  const double filling = Written(m.live_step + std::max(0.0, warm - m.warm_step), job, m);
  const double filled_steps = MissingSteps(job);
  if (job.missing_views > 0) mode.filling_seconds = filling;
  mode.run_seconds =
      filled_steps * filling +
      std::max(0.0, static_cast<double>(job.steps) - filled_steps) * mode.step_seconds;
  return mode;
}

void AddPayoff(const ForecastJob& job, const ModeForecast& replay, const Measured& m,
               Forecast& forecast) {
  const double saved = m.live_step - replay.step_seconds;  // a step
  if (saved <= 0) return;
  const double extra = Written(m.live_step, job, m) - replay.step_seconds;  // a missing step
  forecast.paying_epochs = static_cast<double>(job.replay) * extra / saved;
  const double runs = MissingSteps(job) * extra / (saved * static_cast<double>(job.steps));
  forecast.paying_runs = std::max<int64_t>(1, static_cast<int64_t>(std::ceil(runs - 1e-6)));
}

void Recommend(const ForecastJob& job, Forecast& forecast) {
  const ModeForecast* best = nullptr;
  for (const ModeForecast& mode : forecast.modes) {
    // In their order the later is preferred only if it is clearly faster.
    if (!mode.possible) continue;
    if (best == nullptr || mode.run_seconds < (1 - kTie) * best->run_seconds) best = &mode;
  }
  forecast.recommended = best->name;
  if (best->name != kLiveMode) {
    forecast.reason = job.missing_views == 0 ? "everything is cached already"
                                             : "the shortest run, and the next one is warm";
  } else if (job.replay == 0) {
    forecast.reason = "the job asks for live views, which are not cached";
  } else if (forecast.paying_runs.has_value()) {
    forecast.reason =
        absl::StrCat("the cache pays from ", *forecast.paying_runs, " runs over the same views on");
  } else {
    forecast.reason = "a warm step is no faster than a live one";
  }
}

void Warn(const ForecastJob& job, const Measured& m, Forecast& forecast) {
  if (forecast.missing_bytes > m.free_disk_bytes && job.replay > 0) {
    forecast.warnings.push_back(absl::StrCat(
        "the disk is too small: ", BytesText(static_cast<int64_t>(forecast.missing_bytes)),
        " are missing, ", BytesText(static_cast<int64_t>(m.free_disk_bytes)),
        " are free; what does not fit passes through the teacher at every step"));
  }
  if (job.replay > 0 && !FitsInMemory(job, m)) {
    forecast.warnings.push_back(
        absl::StrCat("the targets (", BytesText(static_cast<int64_t>(forecast.cache_bytes)),
                     ") do not fit in memory: steps read the drive",
                     m.drive_read > 0 ? "" : ", whose speed was not measured"));
  }
}

}  // namespace

Forecast MakeForecast(const ForecastJob& job, const Measured& m) {
  Forecast forecast{
      .cache_bytes = m.view_bytes * static_cast<double>(job.views),
      .missing_bytes = m.view_bytes * static_cast<double>(job.missing_views) * job.missing_bytes};
  double view_seconds = m.view_seconds * job.missing_time;
  if (m.drive_write > 0) {
    view_seconds = std::max(view_seconds, m.view_bytes * job.missing_bytes / m.drive_write);
  }
  forecast.fill_seconds = view_seconds * static_cast<double>(job.missing_views);
  if (job.replay > 0) {
    forecast.modes.push_back(Replay("replay embedded", m.warm_step, job, m));
    forecast.modes.back().possible = job.students == 1;
    if (m.served_step > 0) forecast.modes.push_back(Replay("replay served", m.served_step, job, m));
    const ModeForecast& cached = forecast.modes[job.students > 1 && m.served_step > 0 ? 1 : 0];
    forecast.drive_bound = cached.step_seconds > m.warm_step && !FitsInMemory(job, m);
    AddPayoff(job, cached, m, forecast);
  }
  forecast.modes.push_back({.name = kLiveMode,
                            .step_seconds = m.live_step,
                            .run_seconds = m.live_step * static_cast<double>(job.steps)});
  Recommend(job, forecast);
  Warn(job, m, forecast);
  return forecast;
}

std::optional<std::string> FillForecast::Update(double seconds, int64_t held) {
  if (last_seconds_ < 0) {
    last_seconds_ = seconds;
    last_held_ = held;
    return std::nullopt;
  }
  if (seconds - last_seconds_ < kMinute) return std::nullopt;
  const double rate = static_cast<double>(held - last_held_) / (seconds - last_seconds_);
  last_seconds_ = seconds;
  last_held_ = held;
  if (rate <= 0) return "forecast: nothing was stored in the last minute";
  const absl::Duration left = absl::Seconds(static_cast<double>(targets_ - held) / rate);
  std::string line = absl::StrFormat("forecast: %s left at %.3g targets/s", ClockText(left), rate);
  if (expected_rate_ > 0 && std::abs(rate / expected_rate_ - 1) > 0.1) {
    absl::StrAppendFormat(&line, ", %s than the %.3g/s before",
                          rate < expected_rate_ ? "slower" : "faster", expected_rate_);
  } else if (expected_rate_ > 0) {
    line += ", as before";
  }
  expected_rate_ = rate;
  return line;
}

}  // namespace reflux
