// reflux-bench-stores: what a cache's stores put and get, RocksDB beside Ceph RADOS.
#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "bench/bench_program.h"
#include "bench/cpu_time.h"
#include "bench/quartiles.h"
#include "cache/rados/rados_store.h"
#include "cache/rocks_target_store.h"
#include "common/base/build_version.h"
#include "common/base/status_macros.h"

namespace reflux {
namespace {

constexpr int64_t kBytesARound = int64_t{128} << 20;
constexpr size_t kBatch = 16;

struct Flags {
  std::string directory, store, ceph_conf;
  int rounds = 5, passes = 1;
};

// What each row measured, by round.
struct Measured {
  std::vector<double> gigabytes_a_second;
  std::vector<double> cpu_seconds_a_gigabyte;  // of this process: a store's servers are others
};
using Rows = std::map<std::string, Measured>;

EncodedTarget Value(int64_t bytes, int64_t seed) {
  std::string value(bytes, '\0');
  for (int64_t i = 0; i + 8 <= bytes; i += 8) {
    const int64_t word = (seed + 1) * 0x9E3779B97F4A7C15ll + i * 0x2545F4914F6CDD1Dll;
    std::memcpy(value.data() + i, &word, 8);
  }
  return EncodedTarget::FromBytes(std::move(value), DType::kFloat32, Codec::kFp32,
                                  {1, 1, static_cast<int32_t>(bytes / 4)});
}

TargetKey Key(int64_t size, int round, size_t number) {
  return {Sha256::Of(std::to_string(size) + "/" + std::to_string(round) + "/" +
                     std::to_string(number))};
}

class Clocked {
 public:
  explicit Clocked(int64_t bytes) : gigabytes_(1e-9 * static_cast<double>(bytes)) {}
  void AddTo(Measured& row) const {
    const double cpu = OwnCpuSeconds() - cpu_;
    row.gigabytes_a_second.push_back(gigabytes_ / absl::ToDoubleSeconds(absl::Now() - start_));
    row.cpu_seconds_a_gigabyte.push_back(cpu / gigabytes_);
  }

 private:
  const double gigabytes_;
  const absl::Time start_ = absl::Now();
  const double cpu_ = OwnCpuSeconds();
};

// Reads by the batch into the rows of one, as a student does: what a store delivers in memory of
// its own is copied into its row.
absl::Status Get(TargetStore& store, const std::vector<TargetKey>& keys, size_t batch,
                 std::vector<std::string>& rows) {
  absl::Status status;
  for (size_t first = 0; first < keys.size() && status.ok(); first += batch) {
    const std::vector<TargetKey> some(keys.begin() + first,
                                      keys.begin() + std::min(keys.size(), first + batch));
    store.ContainsMany(some);
    const auto place = [&](size_t i, const EncodedTarget&, size_t size) {
      return size == rows[i].size() ? rows[i].data() : nullptr;
    };
    const auto deliver = [&](size_t i, absl::StatusOr<EncodedTarget> target) {
      status = target.status();
      if (status.ok() && target->bytes.data() != rows[i].data()) {
        std::memcpy(rows[i].data(), target->bytes.data(), target->bytes.size());
      }
      return status.ok();
    };
    store.ReadMany(some, Use::kTraining, deliver, place);
  }
  return status;
}

// Puts fresh values, then gets them one by one and by the batch.
absl::Status Round(TargetStore& store, const std::string& name, int64_t size, int round, int passes,
                   Rows& rows) {
  const auto count = static_cast<size_t>(kBytesARound / size);
  const int64_t bytes = static_cast<int64_t>(count) * size;
  const TargetSet set{.dataset = "bench", .teacher = {.digest = Sha256::Of("bench")}};
  TargetOrigin origin;
  origin.view = {.resized_height = 8, .resized_width = 8, .crop_height = 8, .crop_width = 8};
  std::vector<TargetKey> keys;
  std::vector<EncodedTarget> values;
  for (size_t i = 0; i < count; ++i) {
    keys.push_back(Key(size, round, i));
    values.push_back(Value(size, round * 1000 + static_cast<int64_t>(i)));
  }
  std::vector<std::string> batch(kBatch, std::string(size, '\x01'));  // no page is new
  const Clocked put(bytes);
  for (size_t i = 0; i < count; ++i)
    REFLUX_RETURN_IF_ERROR(store.Put(keys[i], set, origin, values[i]));
  put.AddTo(rows[name + " | put"]);
  for (const size_t at_once : {size_t{1}, kBatch}) {
    const Clocked get(passes * bytes);
    for (int pass = 0; pass < passes; ++pass) {
      REFLUX_RETURN_IF_ERROR(Get(store, keys, at_once, batch));
    }
    get.AddTo(rows[name + (at_once == 1 ? " | get" : " | get, 16 at once")]);
  }
  return absl::OkStatus();
}

absl::StatusOr<BenchResult> Measure(const Flags& flags) {
  REFLUX_ASSIGN_OR_RETURN(const std::unique_ptr<TargetStore> rocks,
                          RocksTargetStore::Open({.directory = flags.directory}));
  REFLUX_ASSIGN_OR_RETURN(RadosStoreOptions options, ParseRadosLocation(flags.store));
  options.configuration = flags.ceph_conf;
  REFLUX_ASSIGN_OR_RETURN(const std::unique_ptr<TargetStore> rados, OpenRadosStore(options));
  BenchResult result{
      "| value | store | does | GB/s, median [quartiles] | CPU s a GB |\n|---|---|---|---|---|\n",
      ""};
  nlohmann::json json = {{"benchmark", "stores"}, {"version", std::string(BuildVersion())}};
  for (const int64_t size : {int64_t{1'400'000}, int64_t{11'000'000}}) {
    Rows rows;
    for (int round = 0; round < flags.rounds; ++round) {
      REFLUX_RETURN_IF_ERROR(Round(*rocks, "RocksDB", size, round, flags.passes, rows));
      REFLUX_RETURN_IF_ERROR(Round(*rados, "RADOS", size, round, flags.passes, rows));
    }
    for (const auto& [name, measured] : rows) {
      const Quartiles speed = QuartilesOf(measured.gigabytes_a_second);
      const Quartiles cpu = QuartilesOf(measured.cpu_seconds_a_gigabyte);
      absl::StrAppendFormat(&result.text, "| %.1f MB | %s | %s | %s |\n",
                            1e-6 * static_cast<double>(size), name, QuartilesCell(speed, 2),
                            QuartilesCell(cpu, 2));
      json["rows"].push_back({{"name", name},
                              {"value_bytes", size},
                              {"gigabytes_per_second", speed.median},
                              {"gigabytes_per_second_quartiles", {speed.q1, speed.q3}},
                              {"cpu_seconds_per_gigabyte", cpu.median},
                              {"cpu_seconds_per_gigabyte_quartiles", {cpu.q1, cpu.q3}}});
    }
  }
  result.json = json.dump(2) + "\n";
  return result;
}

}  // namespace
}  // namespace reflux

int main(int argc, char** argv) {
  reflux::BenchProgram program(
      "reflux-bench-stores", "Measures stores of targets: RocksDB in a folder beside Ceph RADOS.");
  CLI::App& app = program.app();
  reflux::Flags flags;
  app.add_option("--dir", flags.directory, "Empty folder for RocksDB")->required();
  app.add_option("--store", flags.store, "rados:POOL/NAME, empty")->required();
  app.add_option("--ceph-conf", flags.ceph_conf, "Ceph's configuration file");
  app.add_option("--rounds", flags.rounds, "Stores take turns within a round")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--passes", flags.passes, "How often a round gets what it put")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  return program.Run(argc, argv, [&] { return reflux::Measure(flags); });
}
