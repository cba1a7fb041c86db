// reflux-bench-store: what the store on disk costs: write amplification, space, growth, and the
// alternatives to its layout.
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <stdlib.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <string>

#include "bench/store_rounds.h"
#include "common/base/build_version.h"
#include "common/base/exit_codes.h"
#include "common/base/file.h"

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
  app.add_option("--json", options.json, "File to write the result to");
  app.add_flag("--quick", quick, "Small sizes: only shows that it runs");
  app.set_version_flag("--version", std::string(BuildVersion()));
}

int Fail(const absl::Status& status) {
  spdlog::error("reflux-bench-store: {}", std::string(status.message()));
  return absl::IsInvalidArgument(status) ? kExitUsage : kExitFailed;
}

int Run(StoreBenchOptions options) {
  if (const absl::Status status = options.Validate(); !status.ok()) return Fail(status);
  options.dir += "/reflux-bench-store-XXXXXX";
  if (mkdtemp(options.dir.data()) == nullptr) {
    return Fail(absl::InternalError("no folder " + options.dir + " can be made"));
  }
  const auto rows = MeasureStore(options);
  std::filesystem::remove_all(options.dir);
  if (!rows.ok()) return Fail(rows.status());
  std::printf("large values of %lld bytes, small ones of %lld, %d reading threads\n\n%s",
              static_cast<long long>(options.value_bytes),
              static_cast<long long>(options.small_bytes), options.threads,
              StoreTable(*rows).c_str());
  if (options.json.empty()) return kExitDone;
  const absl::Status written = WriteFileAtomically(options.json, StoreJson(options, *rows));
  return written.ok() ? kExitDone : Fail(written);
}

}  // namespace
}  // namespace reflux

int main(int argc, char** argv) {
  spdlog::set_default_logger(spdlog::stderr_color_mt("reflux-bench-store"));
  CLI::App app("Measures the store on disk.");
  reflux::StoreBenchOptions options;
  bool quick = false;
  reflux::AddFlags(app, options, quick);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? reflux::kExitDone : reflux::kExitUsage;
  }
  if (quick) {
    options.value_bytes = 200'000;
    options.fill_bytes = 40'000'000;
    options.entries = {1000};
  }
  return reflux::Run(options);
}
