#include "bench/pace_report.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "bench/quartiles.h"
#include "common/base/build_version.h"

namespace reflux {
namespace {

struct Base {
  const char* row;
  const char* title;
};
constexpr Base kBases[] = {{"npy", "to .npy"}, {"lmdb", "to LMDB"}};

const PaceSeries& Named(const std::vector<PaceSeries>& all, const std::string& name) {
  return *std::find_if(all.begin(), all.end(),
                       [&](const PaceSeries& series) { return series.name == name; });
}

int Misses(const PaceSeries& series) {
  return static_cast<int>(std::count_if(series.paces.begin(), series.paces.end(),
                                        [](double pace) { return std::isinf(pace); }));
}

// A pace that was missed counts as just above the greatest, so that quartiles are numbers.
Quartiles Paces(const PaceBenchOptions& options, const PaceSeries& series) {
  std::vector<double> paces;
  for (const double pace : series.paces) {
    paces.push_back(std::isinf(pace) ? std::nextafter(options.max_ms, 2 * options.max_ms) : pace);
  }
  return QuartilesOf(paces);
}

std::string Milliseconds(const PaceBenchOptions& options, double pace) {
  if (pace > options.max_ms) return absl::StrFormat("> %g", options.max_ms);
  if (pace <= options.min_ms) return absl::StrFormat("<= %g", options.min_ms);
  return absl::StrFormat("%.1f", pace);
}

std::string PaceCell(const PaceBenchOptions& options, const PaceSeries& series) {
  const Quartiles paces = Paces(options, series);
  return absl::StrFormat("%s [%s, %s]", Milliseconds(options, paces.median),
                         Milliseconds(options, paces.q1), Milliseconds(options, paces.q3));
}

// At a limit the pace is only known to be as small, or to be greater.
bool WithinLimits(const PaceBenchOptions& options, const PaceSeries& series) {
  return std::all_of(series.paces.begin(), series.paces.end(),
                     [&](double pace) { return pace > options.min_ms && pace <= options.max_ms; });
}

bool HasRatio(const PaceBenchOptions& options, const PaceSeries& series, const PaceSeries& base) {
  return WithinLimits(options, series) && WithinLimits(options, base);
}

std::string RatioCell(const PaceBenchOptions& options, const PaceSeries& series,
                      const PaceSeries& base) {
  if (!HasRatio(options, series, base)) return "-";
  return QuartilesCell(RatioQuartiles(series.paces, base.paces), 2);
}

double Share(const CachedFiles& files) {
  return files.bytes == 0 ? 0 : static_cast<double>(files.cached_bytes) / files.bytes;
}

std::string Heading(const PaceBenchOptions& options, const PaceTap& tap) {
  const auto megabytes = [](int64_t bytes) { return 1e-6 * static_cast<double>(bytes); };
  return absl::StrFormat(
      "%s: batches of %.1f MB out of %d distinct values of %.2f MB; all forms %.0f MB, of which in "
      "the page cache %.1f %% before the first round and %.1f %% after the last\n",
      tap.tap, megabytes(tap.values.value_bytes() * options.batch), tap.values.count,
      megabytes(tap.values.value_bytes()), megabytes(tap.before.bytes), 100 * Share(tap.before),
      100 * Share(tap.after));
}

nlohmann::json RowJson(const PaceBenchOptions& options, const PaceTap& tap,
                       const PaceSeries& series) {
  const Quartiles paces = Paces(options, series);
  const auto seconds = [&](double pace) {
    return pace > options.max_ms ? nlohmann::json() : nlohmann::json(1e-3 * pace);
  };
  nlohmann::json row = {{"name", absl::StrCat(tap.tap, ": ", series.name)},
                        {"seconds", seconds(paces.median)},
                        {"seconds_quartiles", {seconds(paces.q1), seconds(paces.q3)}},
                        {"rounds_missed", Misses(series)}};
  for (const Base& base : kBases) {
    const PaceSeries& other = Named(tap.rows, base.row);
    const std::string name = absl::StrCat("ratio_to_", base.row);
    row[name] = nullptr;
    if (!HasRatio(options, series, other)) continue;
    const Quartiles ratio = RatioQuartiles(series.paces, other.paces);
    row[name] = ratio.median;
    row[name + "_quartiles"] = {ratio.q1, ratio.q3};
  }
  return row;
}

}  // namespace

std::string PaceTable(const PaceBenchOptions& options, const std::vector<PaceTap>& taps) {
  std::string text;
  for (const PaceTap& tap : taps) absl::StrAppend(&text, Heading(options, tap));
  absl::StrAppend(&text, "\n| tap | row | smallest T, ms |");
  for (const Base& base : kBases) absl::StrAppend(&text, " ", base.title, " |");
  absl::StrAppend(&text, "\n|---|---|---|---|---|\n");
  for (const PaceTap& tap : taps) {
    for (const PaceSeries& series : tap.rows) {
      absl::StrAppendFormat(&text, "| %s | %s | %s |", tap.tap, series.name,
                            PaceCell(options, series));
      for (const Base& base : kBases) {
        absl::StrAppend(&text, " ", RatioCell(options, series, Named(tap.rows, base.row)), " |");
      }
      absl::StrAppend(&text, "\n");
    }
  }
  return text;
}

std::string PaceJson(const PaceBenchOptions& options, const std::vector<PaceTap>& taps) {
  nlohmann::json json = {{"benchmark", "pace"},
                         {"version", std::string(BuildVersion())},
                         {"batch", options.batch},
                         {"size", options.size},
                         {"values", options.values},
                         {"rounds", options.rounds},
                         {"steps", options.steps},
                         {"threads", options.threads},
                         {"depth", options.depth},
                         {"huge_pages", options.huge_pages},
                         {"max_stall", kMaxStall},
                         {"least_seconds", 1e-3 * options.min_ms},
                         {"greatest_seconds", 1e-3 * options.max_ms}};
  for (const PaceTap& tap : taps) {
    json["taps"].push_back({{"name", tap.tap},
                            {"value_bytes", tap.values.value_bytes()},
                            {"batch_bytes", tap.values.value_bytes() * options.batch},
                            {"stored_bytes", tap.before.bytes},
                            {"cached_before", Share(tap.before)},
                            {"cached_after", Share(tap.after)}});
    for (const PaceSeries& series : tap.rows) json["rows"].push_back(RowJson(options, tap, series));
  }
  return json.dump(2) + "\n";
}

}  // namespace reflux
