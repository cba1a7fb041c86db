#include "bench/step_options.h"

#include <algorithm>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "bench/cache_program.h"
#include "common/spec/job_file.h"

namespace reflux {
namespace {

absl::Status Bad(const std::string& what) { return absl::InvalidArgumentError(what); }

struct BenchLosses {
  const char *name, *taps, *yaml;
};
constexpr BenchLosses kLosses[] = {
    {"kd", "logits", "{kd: {}}"},
    {"icsd", "logits", "{icsd: {}}"},
    {"kd+i2ckd", "logits,aspp", "{kd: {}, i2ckd: {tap: aspp}}"},
    {"i2ckd", "aspp", "{i2ckd: {tap: aspp}}"},
    {"afdcd_contrast", "c4",
     "{afdcd: {tap: c4, feature_weight: 0, projector: bottleneck, patch: [2, 2]}}"}};

// The `losses` block of the job file.
std::string LossesYaml(const std::string& losses) {
  for (const BenchLosses& known : kLosses) {
    if (losses == known.name) return known.yaml;
  }
  return "{}";
}

// Puts in the first losses for `taps`, or checks that those given are for them.
absl::Status ResolveLosses(const std::string& taps, std::string& losses) {
  std::vector<std::string> fitting;
  for (const BenchLosses& known : kLosses) {
    if (taps == known.taps) fitting.push_back(known.name);
  }
  if (fitting.empty()) return Bad("--taps: logits, logits,aspp, aspp or c4");
  if (losses.empty()) losses = fitting.front();
  if (std::find(fitting.begin(), fitting.end(), losses) != fitting.end()) return absl::OkStatus();
  return Bad(absl::StrCat("--losses ", losses, ": with --taps ", taps, " it can be ",
                          absl::StrJoin(fitting, " or ")));
}

}  // namespace

absl::Status StepBenchOptions::Resolve() {
  if (rounds < 1 || steps < 1) return Bad("--rounds, --steps: at least 1");
  if (batch < 1 || batch > 1024) return Bad("--batch: from 1 to 1024");
  if (precision != "fp32" && precision != "bf16") return Bad("--precision: fp32 or bf16");
  if (const absl::Status known = ResolveLosses(taps, losses); !known.ok()) return known;
  if (reduce != "none" && reduce != "auto") return Bad("--reduce: none or auto");
  if (threads < 0) return Bad("--threads: 0 (all cores) or more");
  if (threads == 0) threads = static_cast<int>(std::thread::hardware_concurrency());
  return FindCacheProgram(cache_program);
}

absl::StatusOr<v1::JobSpec> StepBenchJob(const StepBenchOptions& options, const std::string& root) {
  return ParseJob({.text = absl::StrFormat(
                       R"(
name: bench-step
data: {format: camvid, root: %s, crop: [%d, %d]}
teacher: {checkpoint: untrained.safetensors, threads: %d, batch: %d, compute: %s, device: %s}
student: {model: deeplabv3_resnet18}
losses: %s
targets: {views: "replay: 2", codec: %s, reduce: %s}
train: {global_batch: %d, steps: %d, precision: %s, threads: %d, learning_rate: 0.0001, device: %s}
)",
                       root, kStepBenchHeight, kStepBenchWidth, options.threads, options.batch,
                       options.precision, options.device, LossesYaml(options.losses), options.codec,
                       options.reduce, options.batch, options.steps, options.precision,
                       options.threads, options.device)});
}

}  // namespace reflux
