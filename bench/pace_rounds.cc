#include "bench/pace_rounds.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <memory>
#include <numeric>
#include <random>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "bench/asked_process.h"
#include "bench/pace_readers.h"
#include "bench/pace_search.h"
#include "bench/pace_student.h"
#include "bench/scratch_folder.h"
#include "common/base/status_macros.h"

namespace reflux {
namespace {

// A loader, asked how a student fares at a pace of so many milliseconds.
struct PacedRow {
  std::string name;
  std::function<absl::StatusOr<double>(double pace, int round)> stall;
};

std::vector<int> OrderOf(const StoredValues& values, int round) {
  std::vector<int> order(static_cast<size_t>(values.count));
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), std::mt19937(static_cast<unsigned>(round)));
  return order;
}

// One tap's data, loaders and Python process, which go with it.
class TapScene {
 public:
  static absl::StatusOr<std::unique_ptr<TapScene>> Create(const PaceBenchOptions& options,
                                                          const StoredValues& values) {
    auto scene = std::unique_ptr<TapScene>(new TapScene(options, values));
    REFLUX_ASSIGN_OR_RETURN(scene->folder_, ScratchFolder::Create(options.scratch));
    REFLUX_RETURN_IF_ERROR(scene->CheckSpace());
    REFLUX_ASSIGN_OR_RETURN(scene->readers_, OpenPaceReaders(options, values, scene->path()));
    for (const NamedReader& named : scene->readers_) REFLUX_RETURN_IF_ERROR(scene->AddRow(named));
    if (!options.python.empty()) REFLUX_RETURN_IF_ERROR(scene->AddPython());
    sync();  // what was written must not be written back while rows are measured
    return scene;
  }
  const std::vector<PacedRow>& rows() const { return rows_; }
  absl::StatusOr<CachedFiles> PageCache() const { return LookAtPageCache(path()); }

 private:
  TapScene(const PaceBenchOptions& options, const StoredValues& values)
      : options_(options), values_(values) {}
  const std::string& path() const { return folder_->path(); }

  absl::Status CheckSpace() const {
    const int forms = options_.python.empty() ? 5 : 6;
    const int64_t wanted = forms * values_.count * (values_.value_bytes() + (1 << 16));
    std::error_code error;
    const auto space = std::filesystem::space(path(), error);
    if (error || static_cast<int64_t>(space.available) > wanted) return absl::OkStatus();
    return absl::ResourceExhaustedError(
        absl::StrCat("--values ", values_.count, " of ", values_.value_bytes(), " bytes in ", forms,
                     " forms need ", wanted, " bytes in ", path(), "; it has ", space.available));
  }

  // Also reads everything once, so that it lies in the page cache if it fits.
  absl::Status AddRow(const NamedReader& named) {
    TargetReader* reader = named.reader.get();
    // What lies in memory is not all the values.
    if (named.name != "memory") REFLUX_RETURN_IF_ERROR(CheckReader(named, values_));
    BatchRows row(1, values_.value_bytes());
    for (int i = 0; i < values_.count; ++i) REFLUX_RETURN_IF_ERROR(reader->Read({i}, row));
    rows_.push_back({named.name, [this, reader](double pace, int round) {
                       return MeasureStall(
                           *reader, {options_, values_.value_bytes(), OrderOf(values_, round)},
                           absl::Milliseconds(pace));
                     }});
    return absl::OkStatus();
  }

  // numpy takes huge pages unless told otherwise; every row has the same.
  std::string PythonCommand() const {
    return absl::StrCat("env NUMPY_MADVISE_HUGEPAGE=", options_.huge_pages ? 1 : 0, " ",
                        options_.python, " ", path(), " --values ", values_.count, " --batch ",
                        options_.batch, " --threads ", options_.threads, " --depth ",
                        options_.depth, " --steps ", options_.steps, " --max-stall ", kMaxStall);
  }

  absl::Status AddPython() {
    REFLUX_ASSIGN_OR_RETURN(python_, AskedProcess::Start(PythonCommand()));
    REFLUX_ASSIGN_OR_RETURN(const std::string names, python_->Ask("names"));
    for (const absl::string_view name : absl::StrSplit(names, ' ', absl::SkipEmpty())) {
      rows_.push_back({std::string(name), [this, name = std::string(name)](double pace, int round) {
                         return AskPython(name, pace, round);
                       }});
    }
    return absl::OkStatus();
  }

  absl::StatusOr<double> AskPython(const std::string& name, double pace, int round) {
    REFLUX_ASSIGN_OR_RETURN(const std::string answer,
                            python_->Ask(absl::StrCat("stall ", name, " ", pace, " ", round)));
    double stall = 0;
    if (absl::SimpleAtod(answer, &stall)) return stall;
    return absl::InternalError(absl::StrCat(name, " answers '", answer, "'"));
  }

  const PaceBenchOptions& options_;
  const StoredValues values_;
  std::unique_ptr<ScratchFolder> folder_;
  std::vector<NamedReader> readers_;
  std::unique_ptr<AskedProcess> python_;
  std::vector<PacedRow> rows_;
};

absl::Status MeasureRow(const PaceBenchOptions& options, const std::string& tap,
                        const PacedRow& row, int round, PaceSeries& series) {
  const auto pace =
      SmallestPace({.least = options.min_ms, .most = options.max_ms},
                   [&](double middle) -> absl::StatusOr<bool> {
                     REFLUX_ASSIGN_OR_RETURN(const double stall, row.stall(middle, round));
                     return stall <= kMaxStall;
                   });
  if (!pace.ok()) {
    return absl::Status(pace.status().code(),
                        absl::StrCat(tap, ", ", row.name, ": ", pace.status().message()));
  }
  spdlog::info("{}, round {}: {} {:.1f} ms", tap, round + 1, row.name, *pace);
  series.paces.push_back(*pace);
  return absl::OkStatus();
}

absl::StatusOr<PaceTap> MeasureTap(const PaceBenchOptions& options, const std::string& tap) {
  PaceTap result{.tap = tap};
  REFLUX_ASSIGN_OR_RETURN(result.values, options.stored(tap));
  REFLUX_ASSIGN_OR_RETURN(const auto scene, TapScene::Create(options, result.values));
  const std::vector<PacedRow>& rows = scene->rows();
  for (const PacedRow& row : rows) result.rows.push_back({row.name, {}});
  REFLUX_ASSIGN_OR_RETURN(result.before, scene->PageCache());
  for (int round = 0; round < options.rounds; ++round) {
    for (size_t i = 0; i < rows.size(); ++i) {
      const size_t turn = (i + static_cast<size_t>(round)) % rows.size();
      REFLUX_RETURN_IF_ERROR(MeasureRow(options, tap, rows[turn], round, result.rows[turn]));
    }
  }
  REFLUX_ASSIGN_OR_RETURN(result.after, scene->PageCache());
  return result;
}

}  // namespace

absl::StatusOr<std::vector<PaceTap>> MeasurePaces(const PaceBenchOptions& options) {
  std::vector<PaceTap> taps;
  for (const std::string& tap : options.taps) {
    REFLUX_ASSIGN_OR_RETURN(PaceTap measured, MeasureTap(options, tap));
    taps.push_back(std::move(measured));
  }
  return taps;
}

}  // namespace reflux
