#include <nlohmann/json.hpp>

#include "absl/strings/str_format.h"
#include "bench/loss_rounds.h"
#include "bench/quartiles.h"
#include "common/base/build_version.h"

namespace reflux {
namespace {

std::string Cell(const Quartiles& value) { return QuartilesCell(value, 2); }

std::string MiB(int64_t bytes) {
  return absl::StrFormat("%.1f", static_cast<double>(bytes) / (1 << 20));
}

}  // namespace

std::string LossTable(const std::vector<LossSeries>& all) {
  std::string table =
      "| loss | library ms | naive to library | Python to library | library MiB | naive MiB | "
      "Python MiB | kept MiB |\n"
      "|---|---|---|---|---|---|---|---|\n";
  for (const LossSeries& series : all) {
    const bool python = !series.python.empty();
    absl::StrAppendFormat(&table, "| %s | %.2f | %s | %s | %s | %s | %s | %s |\n", series.name,
                          1e3 * QuartilesOf(series.library).median,
                          Cell(RatioQuartiles(series.naive, series.library)),
                          python ? Cell(RatioQuartiles(series.python, series.library)) : "-",
                          MiB(series.library_bytes), MiB(series.naive_bytes),
                          python ? MiB(series.python_bytes) : "-", MiB(series.kept_bytes));
  }
  return table;
}

std::string LossJson(const LossBenchOptions& options, const std::vector<LossSeries>& all) {
  nlohmann::json json = {{"benchmark", "losses"},   {"version", std::string(BuildVersion())},
                         {"batch", options.batch},  {"height", options.height},
                         {"width", options.width},  {"classes", options.classes},
                         {"rounds", options.rounds}};
  for (const LossSeries& series : all) {
    nlohmann::json row = {{"name", series.name},
                          {"seconds", QuartilesOf(series.library).median},
                          {"ratio_naive", RatioQuartiles(series.naive, series.library).median},
                          {"bytes", series.library_bytes},
                          {"naive_bytes", series.naive_bytes},
                          {"kept_bytes", series.kept_bytes}};
    if (!series.python.empty()) {
      row["ratio_python"] = RatioQuartiles(series.python, series.library).median;
      row["python_bytes"] = series.python_bytes;
    }
    json["rows"].push_back(std::move(row));
  }
  return json.dump(2) + "\n";
}

}  // namespace reflux
