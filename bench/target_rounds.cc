#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <numeric>
#include <random>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "bench/cpu_time.h"
#include "bench/scratch_folder.h"
#include "bench/target_bench_report.h"
#include "bench/target_readers.h"
#include "common/base/file.h"
#include "common/base/status_macros.h"

namespace reflux {
namespace {

absl::Status Measure(TargetReader& reader, const std::vector<int>& order, BatchRows& rows,
                     TargetSeries* series) {
  const double cpu = OwnCpuSeconds() + reader.ServerCpuSeconds();
  const absl::Time start = absl::Now();
  REFLUX_RETURN_IF_ERROR(reader.Read(order, rows));
  if (series == nullptr) return absl::OkStatus();
  series->seconds.push_back(absl::ToDoubleSeconds(absl::Now() - start));
  series->cpu_seconds.push_back(OwnCpuSeconds() + reader.ServerCpuSeconds() - cpu);
  return absl::OkStatus();
}

// The Python peers read the same values in one process a round and tell their seconds.
absl::Status MeasurePython(const TargetBenchOptions& options, const std::string& folder, int round,
                           std::vector<TargetSeries>& all) {
  const std::string out = folder + "/python.json";
  const std::string command = absl::StrCat(options.python, " ", folder, " --values ",
                                           options.values, " --seed ", round, " --out ", out);
  if (std::system(command.c_str()) != 0) {
    return absl::InternalError("--python: it failed: " + command);
  }
  REFLUX_ASSIGN_OR_RETURN(const std::string text, ReadFile(out, 1 << 20));
  const nlohmann::json rows = nlohmann::json::parse(text);
  for (const auto& [name, seconds] : rows.items()) {
    auto series = std::find_if(all.begin(), all.end(),
                               [&](const TargetSeries& one) { return one.name == name; });
    if (series == all.end()) series = all.insert(all.end(), TargetSeries{name, {}, {}});
    series->seconds.push_back(seconds.at("seconds").get<double>());
    series->cpu_seconds.push_back(seconds.at("cpu_seconds").get<double>());
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<TargetSeries>> MeasureTargets(const TargetBenchOptions& options) {
  REFLUX_ASSIGN_OR_RETURN(const auto folder, ScratchFolder::Create(options.scratch));
  REFLUX_ASSIGN_OR_RETURN(const std::vector<NamedReader> readers,
                          OpenTargetReaders(options, folder->path()));
  BatchRows rows(BatchRows::kRows, options.stored().value_bytes());
  std::vector<int> order(static_cast<size_t>(options.values));
  std::iota(order.begin(), order.end(), 0);
  std::vector<TargetSeries> all;
  for (const NamedReader& named : readers) {
    all.push_back({named.name, {}, {}});
    // Rows over gRPC are the reader's own; what they bring was checked on the way.
    const bool own_rows = named.name.rfind("grpc", 0) == 0;
    if (!own_rows) REFLUX_RETURN_IF_ERROR(CheckReader(named, options.stored()));
    REFLUX_RETURN_IF_ERROR(Measure(*named.reader, order, rows, nullptr));  // warms up
  }
  for (int round = 0; round < options.rounds; ++round) {
    std::shuffle(order.begin(), order.end(), std::mt19937(static_cast<unsigned>(round)));
    for (size_t i = 0; i < readers.size(); ++i) {
      REFLUX_RETURN_IF_ERROR(Measure(*readers[i].reader, order, rows, &all[i]));
    }
    if (!options.python.empty()) {
      REFLUX_RETURN_IF_ERROR(MeasurePython(options, folder->path(), round, all));
    }
  }
  return all;
}

}  // namespace reflux
