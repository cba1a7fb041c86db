#include "bench/serving_report.h"

#include <nlohmann/json.hpp>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "bench/quartiles.h"
#include "common/base/build_version.h"

namespace reflux {
namespace {

std::vector<double> Values(const std::vector<ServingMeasurement>& rounds,
                           double ServingMeasurement::*field) {
  std::vector<double> values;
  for (const ServingMeasurement& round : rounds) values.push_back(round.*field);
  return values;
}

Quartiles Ratio(const std::vector<ServingMeasurement>& rounds) {
  return RatioQuartiles(Values(rounds, &ServingMeasurement::served_rate),
                        Values(rounds, &ServingMeasurement::bare_rate));
}

// What the idle server adds to a lone request.
Quartiles AddedMs(const std::vector<ServingMeasurement>& rounds) {
  std::vector<double> added;
  for (const ServingMeasurement& round : rounds) {
    added.push_back(1e3 * (round.served_seconds - round.bare_seconds));
  }
  return QuartilesOf(std::move(added));
}

}  // namespace

absl::Status ServingBenchOptions::Resolve() {
  if (threads == 0) threads = static_cast<int>(std::thread::hardware_concurrency());
  for (const int value : {rounds, batches, singles, batch, clients, runners, threads}) {
    if (value < 1) return absl::InvalidArgumentError("counts must be at least 1");
  }
  if (precision != "fp32" && precision != "bf16") {
    return absl::InvalidArgumentError("--precision: fp32 or bf16");
  }
  return absl::OkStatus();
}

std::string ServingTable(const ServingBenchOptions& options,
                         const std::vector<ServingMeasurement>& rounds) {
  const auto cell = [&](double ServingMeasurement::*field, int digits) {
    return QuartilesCell(QuartilesOf(Values(rounds, field)), digits);
  };
  std::string table = "| row | full batches, images/s | a lone image, s |\n|---|---|---|\n";
  absl::StrAppend(&table, "| bare | ", cell(&ServingMeasurement::bare_rate, 3), " | ",
                  cell(&ServingMeasurement::bare_seconds, 4), " |\n");
  absl::StrAppend(&table, "| served | ", cell(&ServingMeasurement::served_rate, 3), " | ",
                  cell(&ServingMeasurement::served_seconds, 4), " |\n\n");
  absl::StrAppend(&table, "served / bare at full batches: ", QuartilesCell(Ratio(rounds), 3),
                  "\nadded to a lone image: ", QuartilesCell(AddedMs(rounds), 2),
                  " ms, of which the configured delay may take ", options.max_delay_ms, " ms\n");
  return table;
}

std::string ServingJson(const ServingBenchOptions& options,
                        const std::vector<ServingMeasurement>& rounds) {
  const Quartiles ratio = Ratio(rounds), added = AddedMs(rounds);
  const auto median = [&](double ServingMeasurement::*field) {
    return QuartilesOf(Values(rounds, field)).median;
  };
  const nlohmann::json json = {{"benchmark", "serving"},
                               {"version", std::string(BuildVersion())},
                               {"rounds", options.rounds},
                               {"batch", options.batch},
                               {"clients", options.clients},
                               {"runners", options.runners},
                               {"threads", options.threads},
                               {"precision", options.precision},
                               {"tap", options.tap},
                               {"codec", options.codec},
                               {"teacher_model", options.teacher_model},
                               {"size", {options.height, options.width}},
                               {"max_delay_ms", options.max_delay_ms},
                               {"rows",
                                {{{"name", "bare"},
                                  {"images_per_second", median(&ServingMeasurement::bare_rate)},
                                  {"lone_seconds", median(&ServingMeasurement::bare_seconds)}},
                                 {{"name", "served"},
                                  {"images_per_second", median(&ServingMeasurement::served_rate)},
                                  {"lone_seconds", median(&ServingMeasurement::served_seconds)}}}},
                               {"ratio", ratio.median},
                               {"ratio_quartiles", {ratio.q1, ratio.q3}},
                               {"added_ms", added.median},
                               {"added_ms_quartiles", {added.q1, added.q3}}};
  return json.dump(2) + "\n";
}

}  // namespace reflux
