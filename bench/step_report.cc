#include "bench/step_report.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/build_version.h"

namespace reflux {
namespace {

const StepSeries& Named(const std::vector<StepSeries>& all, const std::string& name) {
  return *std::find_if(all.begin(), all.end(),
                       [&](const StepSeries& series) { return series.name == name; });
}

std::vector<double> Rounds(const StepSeries& series, double StepMeasurement::*field) {
  std::vector<double> values;
  for (const StepMeasurement& round : series.rounds) values.push_back(round.*field);
  return values;
}

Quartiles Of(const StepSeries& series, double StepMeasurement::*field) {
  return QuartilesOf(Rounds(series, field));
}

Quartiles RatioTo(const StepSeries& series, const StepSeries& base) {
  return RatioQuartiles(Rounds(series, &StepMeasurement::seconds),
                        Rounds(base, &StepMeasurement::seconds));
}

std::string Cell(const Quartiles& value) { return QuartilesCell(value, 3); }

}  // namespace

std::string StepTable(const std::vector<StepSeries>& all) {
  const StepSeries &plain = Named(all, "plain"), &resident = Named(all, "resident");
  std::string table =
      "| row | s/step | to resident | to plain | wait s/step | CPU s/step | server CPU s/step | "
      "bytes/step | teacher images |\n|---|---|---|---|---|---|---|---|---|\n";
  for (const StepSeries& series : all) {
    absl::StrAppendFormat(&table, "| %s | %s | %s | %s | %.4f | %.3f | %.4f | %.0f | %d |\n",
                          series.name, Cell(Of(series, &StepMeasurement::seconds)),
                          Cell(RatioTo(series, resident)), Cell(RatioTo(series, plain)),
                          Of(series, &StepMeasurement::wait_seconds).median,
                          Of(series, &StepMeasurement::cpu_seconds).median,
                          Of(series, &StepMeasurement::server_cpu_seconds).median,
                          Of(series, &StepMeasurement::bytes).median, series.teacher_images);
  }
  return table;
}

std::string StepJson(const StepBenchOptions& options, const std::vector<StepSeries>& all) {
  const auto quartiles = [](const Quartiles& value) {
    return nlohmann::json::array({value.q1, value.q3});
  };
  nlohmann::json json = {{"benchmark", "step"},
                         {"version", std::string(BuildVersion())},
                         {"rounds", options.rounds},
                         {"steps", options.steps},
                         {"precision", options.precision},
                         {"taps", options.taps},
                         {"losses", options.losses},
                         {"reduce", options.reduce},
                         {"codec", options.codec},
                         {"teacher_model", options.teacher_model},
                         {"threads", options.threads}};
  for (const StepSeries& series : all) {
    const Quartiles seconds = Of(series, &StepMeasurement::seconds);
    const Quartiles to_resident = RatioTo(series, Named(all, "resident"));
    const Quartiles to_plain = RatioTo(series, Named(all, "plain"));
    json["rows"].push_back(
        {{"name", series.name},
         {"seconds", seconds.median},
         {"seconds_quartiles", quartiles(seconds)},
         {"ratio_to_resident", to_resident.median},
         {"ratio_to_resident_quartiles", quartiles(to_resident)},
         {"ratio_to_plain", to_plain.median},
         {"ratio_to_plain_quartiles", quartiles(to_plain)},
         {"wait_seconds", Of(series, &StepMeasurement::wait_seconds).median},
         {"cpu_seconds", Of(series, &StepMeasurement::cpu_seconds).median},
         {"server_cpu_seconds", Of(series, &StepMeasurement::server_cpu_seconds).median},
         {"bytes_per_step", Of(series, &StepMeasurement::bytes).median},
         {"teacher_images", series.teacher_images}});
  }
  return json.dump(2) + "\n";
}

}  // namespace reflux
