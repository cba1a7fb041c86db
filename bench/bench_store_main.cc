// reflux-bench-store: what the store on disk costs: write amplification, space, growth, and the
// alternatives to its layout.
#include "absl/status/statusor.h"
#include "absl/strings/str_format.h"
#include "bench/bench_program.h"
#include "bench/scratch_folder.h"
#include "bench/store_rounds.h"
#include "common/base/status_macros.h"

namespace reflux {
namespace {

void AddFlags(CLI::App& app, StoreBenchOptions& options, bool& quick) {
  app.add_option("--dir", options.dir,
                 "Folder below which the stores are made and removed again: on the disk to measure")
      ->required();
  app.add_option("--value-bytes", options.value_bytes, "Of a large value")->capture_default_str();
  app.add_option("--fill-bytes", options.fill_bytes, "Of a fill with large values")
      ->capture_default_str();
  app.add_option("--small-bytes", options.small_bytes, "Of a small value")->capture_default_str();
  app.add_option("--entries", options.entries, "Numbers of small values, e.g. 100000,1000000")
      ->delimiter(',');
  app.add_option("--threads", options.threads, "Threads that read at once")->capture_default_str();
  app.add_flag("--quick", quick, "Small sizes: only shows that it runs");
}

absl::StatusOr<BenchResult> Measure(StoreBenchOptions options) {
  REFLUX_RETURN_IF_ERROR(options.Validate());
  REFLUX_ASSIGN_OR_RETURN(const auto scratch, ScratchFolder::Create(options.dir));
  options.dir = scratch->path();
  REFLUX_ASSIGN_OR_RETURN(const auto rows, MeasureStore(options));
  return BenchResult{
      absl::StrFormat("large values of %d bytes, small ones of %d, %d reading threads\n\n%s",
                      options.value_bytes, options.small_bytes, options.threads, StoreTable(rows)),
      StoreJson(options, rows)};
}

void MakeQuick(StoreBenchOptions& options) {
  options.value_bytes = 200'000;
  options.fill_bytes = 40'000'000;
  options.entries = {1000};
}

}  // namespace
}  // namespace reflux

int main(int argc, char** argv) {
  reflux::BenchProgram program("reflux-bench-store", "Measures the store on disk.");
  reflux::StoreBenchOptions options;
  bool quick = false;
  reflux::AddFlags(program.app(), options, quick);
  return program.Run(argc, argv, [&] {
    if (quick) reflux::MakeQuick(options);
    return reflux::Measure(options);
  });
}
