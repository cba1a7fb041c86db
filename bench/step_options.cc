#include "bench/step_options.h"

#include <filesystem>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/spec/job_file.h"

namespace reflux {
namespace {

absl::Status Bad(const std::string& what) { return absl::InvalidArgumentError(what); }

// The `losses` block of the job file.
std::string LossesYaml(const std::string& losses) {
  if (losses == "icsd") return "{icsd: {}}";
  return losses == "kd" ? "{kd: {}}" : "{kd: {}, i2ckd: {tap: aspp}}";
}

}  // namespace

absl::Status StepBenchOptions::Resolve() {
  if (rounds < 1 || steps < 1) return Bad("--rounds, --steps: at least 1");
  if (precision != "fp32" && precision != "bf16") return Bad("--precision: fp32 or bf16");
  if (taps != "logits" && taps != "logits,aspp") return Bad("--taps: logits or logits,aspp");
  const bool features = taps == "logits,aspp";
  if (losses.empty()) losses = features ? "kd+i2ckd" : "kd";
  if (features ? losses != "kd+i2ckd" : losses != "kd" && losses != "icsd") {
    return Bad(absl::StrCat("--losses ", losses, ": with --taps ", taps, " it can be ",
                            features ? "kd+i2ckd" : "kd or icsd"));
  }
  if (threads < 0) return Bad("--threads: 0 (all cores) or more");
  if (threads == 0) threads = static_cast<int>(std::thread::hardware_concurrency());
  if (scratch.empty()) scratch = std::filesystem::temp_directory_path();
  if (cache_program.empty()) {
    cache_program = std::filesystem::read_symlink("/proc/self/exe").parent_path() / "reflux-cache";
  }
  if (!std::filesystem::exists(cache_program)) {
    return Bad(absl::StrCat(cache_program,
                            " does not exist: build reflux-cache, or name it with "
                            "--cache-program"));
  }
  return absl::OkStatus();
}

absl::StatusOr<v1::JobSpec> StepBenchJob(const StepBenchOptions& options, const std::string& root) {
  return ParseJob({.text = absl::StrFormat(
                       R"(
name: bench-step
data: {format: camvid, root: %s, crop: [%d, %d]}
teacher: {checkpoint: untrained.safetensors, threads: %d, batch: %d, compute: %s, device: cpu}
student: {model: deeplabv3_resnet18}
losses: %s
targets: {views: "replay: 2", codec: %s}
train: {global_batch: %d, steps: %d, precision: %s, threads: %d, learning_rate: 0.0001, device: cpu}
)",
                       root, kStepBenchHeight, kStepBenchWidth, options.threads, kStepBenchBatch,
                       options.precision, LossesYaml(options.losses), options.codec,
                       kStepBenchBatch, options.steps, options.precision, options.threads)});
}

}  // namespace reflux
