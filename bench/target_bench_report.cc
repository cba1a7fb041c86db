#include "bench/target_bench_report.h"

#include <algorithm>
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
constexpr Base kBases[] = {{"npy", "to .npy"}, {"lmdb", "to LMDB"}, {"grpc_bare", "to bare gRPC"}};

const TargetSeries& Named(const std::vector<TargetSeries>& all, const std::string& name) {
  return *std::find_if(all.begin(), all.end(),
                       [&](const TargetSeries& series) { return series.name == name; });
}

double Gigabytes(const TargetBenchOptions& options) {
  return 1e-9 * static_cast<double>(options.stored().value_bytes()) * options.values;
}

Quartiles Speed(const TargetBenchOptions& options, const TargetSeries& series) {
  std::vector<double> speeds;
  for (const double seconds : series.seconds) speeds.push_back(Gigabytes(options) / seconds);
  return QuartilesOf(speeds);
}

double CpuPerGigabyte(const TargetBenchOptions& options, const TargetSeries& series) {
  return QuartilesOf(series.cpu_seconds).median / Gigabytes(options);
}

}  // namespace

std::string TargetTable(const TargetBenchOptions& options, const std::vector<TargetSeries>& all) {
  std::string table = "| row | GB/s | CPU s/GB |";
  for (const Base& base : kBases) absl::StrAppend(&table, " ", base.title, " |");
  absl::StrAppend(&table, "\n|---|---|---|---|---|---|\n");
  for (const TargetSeries& series : all) {
    absl::StrAppendFormat(&table, "| %s | %s | %.2f |", series.name,
                          QuartilesCell(Speed(options, series), 2),
                          CpuPerGigabyte(options, series));
    for (const Base& base : kBases) {
      // Speeds compare as the inverse of times.
      absl::StrAppend(
          &table, " ",
          QuartilesCell(RatioQuartiles(Named(all, base.row).seconds, series.seconds), 2), " |");
    }
    absl::StrAppend(&table, "\n");
  }
  return table;
}

std::string TargetJson(const TargetBenchOptions& options, const std::vector<TargetSeries>& all) {
  nlohmann::json json = {{"benchmark", "targets"},
                         {"version", std::string(BuildVersion())},
                         {"value_bytes", options.stored().value_bytes()},
                         {"values", options.values},
                         {"rounds", options.rounds},
                         {"threads", options.threads}};
  for (const TargetSeries& series : all) {
    const Quartiles speed = Speed(options, series);
    nlohmann::json row = {{"name", series.name},
                          {"gigabytes_per_second", speed.median},
                          {"gigabytes_per_second_quartiles", {speed.q1, speed.q3}},
                          {"cpu_seconds_per_gigabyte", CpuPerGigabyte(options, series)}};
    for (const Base& base : kBases) {
      const Quartiles ratio = RatioQuartiles(Named(all, base.row).seconds, series.seconds);
      row[absl::StrCat("ratio_to_", base.row)] = ratio.median;
      row[absl::StrCat("ratio_to_", base.row, "_quartiles")] = {ratio.q1, ratio.q3};
    }
    json["rows"].push_back(std::move(row));
  }
  return json.dump(2) + "\n";
}

}  // namespace reflux
