#include "planner/sweep_forecast.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "cli/table.h"

namespace reflux {
namespace {

constexpr const char* kModes[] = {"replay embedded", "replay served", kLiveMode};
// Modes closer than this are the same: then the cache is preferred.
constexpr double kTie = 0.03;

const ModeForecast& ModeOf(const SweepRowForecast& row, const std::string& name) {
  return *std::find_if(row.modes.begin(), row.modes.end(),
                       [&](const ModeForecast& mode) { return mode.name == name; });
}

SweepRowForecast ForecastRow(const SweepRow& row, std::vector<std::string>& warnings) {
  SweepRowForecast forecast;
  if (!row.reads_teacher) {
    const double step = row.measured.alone_step;
    for (const char* mode : kModes) {
      forecast.modes.push_back({.name = mode,
                                .step_seconds = step,
                                .run_seconds = step * static_cast<double>(row.job.steps)});
    }
    return forecast;
  }
  const Forecast of_job = MakeForecast(row.job, row.measured);
  for (const std::string& warning : of_job.warnings) {
    warnings.push_back(absl::StrCat(row.name, ": ", warning));
  }
  return {.modes = of_job.modes};
}

SweepMode AddUp(const std::string& name, const std::vector<SweepRow>& rows,
                const std::vector<SweepRowForecast>& forecasts, double fill_seconds) {
  SweepMode mode{.name = name, .fill_seconds = name == kLiveMode ? 0 : fill_seconds};
  for (size_t i = 0; i < rows.size(); ++i) {
    const ModeForecast& run = ModeOf(forecasts[i], name);
    mode.run_seconds += static_cast<double>(rows[i].jobs) * run.run_seconds;
    mode.possible = mode.possible && run.possible;
  }
  return mode;
}

// In their order the later is preferred only if it is clearly faster.
const SweepMode& Best(const std::vector<SweepMode>& modes) {
  const SweepMode* best = nullptr;
  for (const SweepMode& mode : modes) {
    if (!mode.possible) continue;
    if (best == nullptr || mode.seconds() < (1 - kTie) * best->seconds()) best = &mode;
  }
  return *best;
}

void AddPayoff(SweepForecast& forecast) {
  const SweepMode &embedded = forecast.modes[0], &served = forecast.modes[1];
  const bool embed = embedded.possible && embedded.run_seconds <= served.run_seconds;
  const SweepMode& cached = embed ? embedded : served;
  const double saved = forecast.modes.back().run_seconds - cached.run_seconds;
  if (saved <= 0 || forecast.students == 0) return;
  const double students = cached.fill_seconds * static_cast<double>(forecast.students) / saved;
  forecast.paying_students = std::max<int64_t>(1, std::llround(std::ceil(students - 1e-6)));
}

std::string Reason(const SweepForecast& forecast, const NeedsCost& cost) {
  if (forecast.recommended != kLiveMode) {
    return cost.missing_views == 0 ? "everything is cached already"
                                   : absl::StrCat("one fill for ", forecast.students,
                                                  " students, and the next are warm");
  }
  if (!forecast.paying_students.has_value()) return "warm steps are no faster than live ones";
  return absl::StrCat("filling pays from ", *forecast.paying_students,
                      " students on, the sweep has ", forecast.students);
}

}  // namespace

SweepForecast MakeSweepForecast(const std::vector<SweepRow>& rows, const NeedsCost& cost) {
  SweepForecast forecast;
  for (const SweepRow& row : rows) {
    forecast.rows.push_back(ForecastRow(row, forecast.warnings));
    if (row.reads_teacher) forecast.students += row.jobs;
  }
  for (const char* name : kModes) {
    forecast.modes.push_back(AddUp(name, rows, forecast.rows, cost.fill_seconds));
  }
  AddPayoff(forecast);
  forecast.recommended = Best(forecast.modes).name;
  forecast.reason = Reason(forecast, cost);
  const double free = rows.empty() ? 0 : rows.front().measured.free_disk_bytes;
  if (cost.missing_bytes > free) {
    forecast.warnings.push_back(absl::StrCat(
        "the disk is too small: ", BytesText(std::llround(cost.missing_bytes)), " are missing, ",
        BytesText(std::llround(free)), " are free; a fill ends when it is full"));
  }
  return forecast;
}

}  // namespace reflux
