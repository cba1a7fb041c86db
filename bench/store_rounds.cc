#include "bench/store_rounds.h"

#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <random>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "bench/deletion_rounds.h"
#include "bench/store_meter.h"
#include "cache/rocks_target_store.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/base/status_macros.h"

namespace reflux {
namespace {

// Leases end when the benchmark says so.
class SteppedClock : public Clock {
 public:
  absl::Time Now() const override { return absl::FromUnixSeconds(1'700'000'000) + Uptime(); }
  absl::Duration Uptime() const override { return absl::Hours(hours_.load()); }
  void WaitUntilUptime(CondVar& condition, Mutex& mutex, absl::Duration /*deadline*/) const override
      REFLUX_REQUIRES(mutex) {
    condition.WaitFor(mutex, absl::Milliseconds(1));  // for no reason, as it may
  }
  void Advance() { ++hours_; }

 private:
  std::atomic<int64_t> hours_{1};
};

TargetKey KeyOf(int set, int64_t number) { return {Sha256::Of(absl::StrCat(set, " ", number))}; }

TargetSet SetOf(int set) {
  return {.dataset = absl::StrCat("set", set),
          .teacher = {.digest = Sha256::Of("teacher")},
          .spec = {.tap = "aspp", .codec = Codec::kFp16}};
}

TargetOrigin Origin() {
  return {.view = {.resized_height = 8, .resized_width = 8, .crop_height = 8, .crop_width = 8}};
}

EncodedTarget MakeTarget(int64_t bytes) {
  std::mt19937_64 random(1);
  std::string value(static_cast<size_t>(bytes) / 2 * 2, '\0');
  for (char& byte : value) byte = static_cast<char>(random());
  const auto elements = static_cast<int32_t>(value.size() / 2);
  return EncodedTarget::FromBytes(std::move(value), DType::kFloat16, Codec::kFp16,
                                  {1, 1, elements});
}

// A store in a folder of its own, and the steps that are measured on it.
class Bench {
 public:
  Bench(const StoreBenchOptions& options, const std::string& name, int64_t value_bytes)
      : options_(options),
        folder_(options.dir + "/" + name),
        name_(name),
        target_(MakeTarget(value_bytes)) {}
  ~Bench() {
    store_.reset();
    std::error_code error;
    std::filesystem::remove_all(folder_, error);
  }

  int64_t value_bytes() const { return static_cast<int64_t>(target_.bytes.size()); }
  RocksTargetStore& store() { return *store_; }
  SteppedClock& clock() { return clock_; }

  absl::Status Open(int64_t capacity_bytes = 0) {
    store_.reset();
    REFLUX_ASSIGN_OR_RETURN(
        store_, RocksTargetStore::Open(
                    {.directory = folder_, .capacity_bytes = capacity_bytes, .clock = &clock_}));
    return absl::OkStatus();
  }
  absl::StatusOr<int64_t> Put(int set, int64_t count) {
    for (int64_t i = 0; i < count; ++i) {
      REFLUX_RETURN_IF_ERROR(store_->Put(KeyOf(set, i), SetOf(set), Origin(), target_));
    }
    return count * value_bytes();
  }
  // `reads` targets of the first `count` of a set, at random, by all threads.
  absl::StatusOr<int64_t> Read(int set, int64_t count, int64_t reads) {
    std::vector<std::thread> threads;
    std::vector<absl::Status> ends(static_cast<size_t>(options_.threads));
    for (int t = 0; t < options_.threads; ++t) {
      threads.emplace_back([&, t] {
        std::mt19937_64 random(static_cast<uint64_t>(t));
        for (int64_t i = t; i < reads && ends[t].ok(); i += options_.threads) {
          ends[t] =
              store_->Get(KeyOf(set, static_cast<int64_t>(random() % static_cast<uint64_t>(count))))
                  .status();
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (const absl::Status& end : ends) REFLUX_RETURN_IF_ERROR(end);
    return reads * value_bytes();
  }
  absl::Status Step(const std::string& what, std::vector<StoreRow>& rows,
                    const std::function<absl::StatusOr<int64_t>()>& step) {
    REFLUX_ASSIGN_OR_RETURN(StoreRow row, Measure(absl::StrCat(name_, ": ", what), folder_, step));
    const StoreStats stats = store_->stats();
    row.entries = stats.entries;
    row.live_bytes = stats.live_bytes;
    row.disk_bytes = stats.disk_bytes;
    rows.push_back(row);
    return absl::OkStatus();
  }

 private:
  const StoreBenchOptions& options_;
  const std::string folder_, name_;
  const EncodedTarget target_;
  SteppedClock clock_;
  std::unique_ptr<RocksTargetStore> store_;
};

// Fill, read, displace, remove with values of the size of a map.
absl::Status MeasureLarge(const StoreBenchOptions& options, std::vector<StoreRow>& rows) {
  Bench bench(options, "large", options.value_bytes);
  const int64_t count = std::max<int64_t>(1, options.fill_bytes / bench.value_bytes());
  REFLUX_RETURN_IF_ERROR(bench.Open(2 * count * bench.value_bytes()));
  REFLUX_RETURN_IF_ERROR(bench.Step("fill", rows, [&] { return bench.Put(0, count); }));
  REFLUX_RETURN_IF_ERROR(bench.Step("read", rows, [&] { return bench.Read(0, count, count); }));
  REFLUX_RETURN_IF_ERROR(bench.Step("fill to capacity", rows, [&] { return bench.Put(1, count); }));
  bench.clock().Advance();
  REFLUX_RETURN_IF_ERROR(
      bench.Step("fill, evicting the oldest", rows, [&] { return bench.Put(2, count); }));
  return bench.Step("remove a set", rows,
                    [&] { return bench.store().RemoveSet(MakeTargetSetId(SetOf(2))); });
}

// Half of every table is leased: the worst case of eviction.
absl::Status MeasureMixed(const StoreBenchOptions& options, std::vector<StoreRow>& rows) {
  Bench bench(options, "mixed", options.value_bytes);
  const int64_t count = std::max<int64_t>(1, options.fill_bytes / 2 / bench.value_bytes());
  REFLUX_RETURN_IF_ERROR(bench.Open(2 * count * bench.value_bytes()));
  REFLUX_RETURN_IF_ERROR(
      bench.Step("fill two sets by turns", rows, [&]() -> absl::StatusOr<int64_t> {
        int64_t bytes = 0;
        for (int64_t i = 0; i < count; ++i) {
          for (int set = 0; set < 2; ++set) {
            REFLUX_RETURN_IF_ERROR(bench.store().Put(KeyOf(set, i), SetOf(set), Origin(),
                                                     MakeTarget(options.value_bytes)));
            bytes += bench.value_bytes();
          }
        }
        return bytes;
      }));
  bench.clock().Advance();
  REFLUX_RETURN_IF_ERROR(bench.store().Pin(MakeTargetSetId(SetOf(0)), absl::Hours(1000)));
  return bench.Step("evict one of them", rows,
                    [&] { return bench.store().Evict(count * bench.value_bytes()); });
}

// How a store grows: many entries, which are small so that their number is what costs.
absl::Status MeasureGrowth(const StoreBenchOptions& options, int64_t entries,
                           std::vector<StoreRow>& rows) {
  Bench bench(options, absl::StrCat(entries, " small"), options.small_bytes);
  const int64_t reads = std::min<int64_t>(entries, 200'000);
  REFLUX_RETURN_IF_ERROR(bench.Open());
  REFLUX_RETURN_IF_ERROR(bench.Step("fill", rows, [&] { return bench.Put(0, entries); }));
  REFLUX_RETURN_IF_ERROR(bench.Step("open again", rows, [&]() -> absl::StatusOr<int64_t> {
    REFLUX_RETURN_IF_ERROR(bench.Open());
    return 0;
  }));
  REFLUX_RETURN_IF_ERROR(bench.Step("read", rows, [&] { return bench.Read(0, entries, reads); }));
  bench.clock().Advance();
  return bench.Step("evict a tenth", rows,
                    [&] { return bench.store().Evict(entries / 10 * bench.value_bytes()); });
}

}  // namespace

absl::Status StoreBenchOptions::Validate() const {
  if (dir.empty()) return absl::InvalidArgumentError("--dir: must be given");
  if (value_bytes < 2 || small_bytes < 2 || fill_bytes < value_bytes || threads < 1) {
    return absl::InvalidArgumentError("sizes and --threads: must be positive");
  }
  for (const int64_t count : entries) {
    if (count < 10) return absl::InvalidArgumentError("--entries: at least 10");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<StoreRow>> MeasureStore(const StoreBenchOptions& options) {
  std::vector<StoreRow> rows;
  REFLUX_RETURN_IF_ERROR(MeasureLarge(options, rows));
  REFLUX_RETURN_IF_ERROR(MeasureMixed(options, rows));
  REFLUX_RETURN_IF_ERROR(MeasureDeletion(options, rows));
  for (const int64_t entries : options.entries) {
    REFLUX_RETURN_IF_ERROR(MeasureGrowth(options, entries, rows));
  }
  return rows;
}

}  // namespace reflux
