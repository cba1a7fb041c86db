#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/str_format.h"
#include "bench/growth_rounds.h"
#include "bench/quartiles.h"
#include "common/base/build_version.h"

namespace reflux {
namespace {

int64_t ValuesOf(const GrowthOptions& options, const GrowthRow& row) {
  const int64_t calls = options.reads / GrowthOptions::kCallValues / row.students;
  return calls * GrowthOptions::kCallValues * row.students;
}

// Of each round, values a second.
std::vector<double> Rates(const GrowthOptions& options, const GrowthRow& row) {
  std::vector<double> rates;
  for (const double seconds : row.seconds) {
    rates.push_back(static_cast<double>(ValuesOf(options, row)) / seconds);
  }
  return rates;
}

double CpuMicrosAValue(const GrowthOptions& options, const GrowthRow& row) {
  return 1e6 * QuartilesOf(row.server_cpu_seconds).median /
         static_cast<double>(ValuesOf(options, row));
}

// The row of the fewest entries with as many students.
const GrowthRow& Base(const std::vector<GrowthRow>& rows, const GrowthRow& row) {
  return *std::find_if(rows.begin(), rows.end(),
                       [&](const GrowthRow& other) { return other.students == row.students; });
}

Quartiles RateRatio(const GrowthOptions& options, const std::vector<GrowthRow>& rows,
                    const GrowthRow& row) {
  return RatioQuartiles(Rates(options, row), Rates(options, Base(rows, row)));
}

}  // namespace

std::string GrowthTable(const GrowthOptions& options, const std::vector<GrowthRow>& rows) {
  std::string table =
      "| entries | students | values a second | to fewest entries | server CPU us a value | "
      "server memory MB |\n|---|---|---|---|---|---|\n";
  for (const GrowthRow& row : rows) {
    absl::StrAppendFormat(&table, "| %d | %d | %s | %s | %.1f | %.0f |\n", row.entries,
                          row.students, QuartilesCell(QuartilesOf(Rates(options, row)), 0),
                          QuartilesCell(RateRatio(options, rows, row), 2),
                          CpuMicrosAValue(options, row),
                          1e-6 * static_cast<double>(row.resident_bytes));
  }
  return table;
}

std::string GrowthJson(const GrowthOptions& options, const std::vector<GrowthRow>& rows) {
  nlohmann::json json = {{"benchmark", "growth"},
                         {"version", std::string(BuildVersion())},
                         {"value_bytes", options.stored(1).value_bytes()},
                         {"reads", options.reads},
                         {"rounds", options.rounds}};
  for (const GrowthRow& row : rows) {
    json["rows"].push_back(
        {{"name", absl::StrFormat("%d entries, %d students", row.entries, row.students)},
         {"entries", row.entries},
         {"students", row.students},
         {"seconds", QuartilesOf(row.seconds).median},
         {"values_a_second", QuartilesOf(Rates(options, row)).median},
         {"ratio_to_fewest_entries", RateRatio(options, rows, row).median},
         {"server_cpu_us_a_value", CpuMicrosAValue(options, row)},
         {"server_memory_bytes", row.resident_bytes}});
  }
  return json.dump(2) + "\n";
}

}  // namespace reflux
