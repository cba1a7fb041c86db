#include <nlohmann/json.hpp>

#include "absl/strings/str_format.h"
#include "bench/store_rounds.h"
#include "common/base/build_version.h"

namespace reflux {
namespace {

std::string MiB(int64_t bytes) {
  return bytes == 0 ? "-" : absl::StrFormat("%.0f", static_cast<double>(bytes) / (1 << 20));
}

std::string MiBPerCpuSecond(const StoreRow& row) {
  if (row.bytes == 0 || row.cpu_seconds <= 0) return "-";
  return absl::StrFormat("%.0f", static_cast<double>(row.bytes) / (1 << 20) / row.cpu_seconds);
}

}  // namespace

std::string StoreTable(const std::vector<StoreRow>& rows) {
  std::string table =
      "| step | s | CPU s | MiB a CPU s | written to put | entries | live MiB | disk MiB | files | "
      "memory MiB |\n"
      "|---|---|---|---|---|---|---|---|---|---|\n";
  for (const StoreRow& row : rows) {
    absl::StrAppendFormat(
        &table, "| %s | %.2f | %.2f | %s | %s | %d | %s | %s | %d | %s |\n", row.name, row.seconds,
        row.cpu_seconds, MiBPerCpuSecond(row),
        row.write_amplification > 0 ? absl::StrFormat("%.2f", row.write_amplification) : "-",
        row.entries, MiB(row.live_bytes), MiB(row.disk_bytes), row.files, MiB(row.memory_bytes));
  }
  return table;
}

std::string StoreJson(const StoreBenchOptions& options, const std::vector<StoreRow>& rows) {
  nlohmann::json json = {{"benchmark", "store"},
                         {"version", std::string(BuildVersion())},
                         {"value_bytes", options.value_bytes},
                         {"fill_bytes", options.fill_bytes},
                         {"small_bytes", options.small_bytes},
                         {"threads", options.threads}};
  for (const StoreRow& row : rows) {
    json["rows"].push_back({{"name", row.name},
                            {"seconds", row.seconds},
                            {"cpu_seconds", row.cpu_seconds},
                            {"bytes", row.bytes},
                            {"write_amplification", row.write_amplification},
                            {"entries", row.entries},
                            {"live_bytes", row.live_bytes},
                            {"disk_bytes", row.disk_bytes},
                            {"files", row.files},
                            {"memory_bytes", row.memory_bytes}});
  }
  return json.dump(2) + "\n";
}

}  // namespace reflux
