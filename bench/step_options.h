// What reflux-bench-step measures. Torch-free.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "reflux/v1/config.pb.h"

namespace reflux {

struct StepBenchOptions {
  int rounds = 7;                  // every row is measured once a round
  int steps = 10;                  // timed training steps of a row in a round
  std::string precision = "fp32";  // of student and teacher: fp32 or bf16
  // What is asked of the teacher: "logits", "logits,aspp", "aspp" or "c4".
  std::string taps = "logits";
  // "kd", "icsd" (both for logits), "kd+i2ckd" (logits,aspp), "i2ckd" (aspp), "afdcd_contrast" (c4;
  // without the mimicking, with the bottleneck projector); empty: the first for the taps.
  std::string losses;
  std::string reduce = "none";  // as targets.reduce of a job
  std::string codec = "fp16";   // of the targets
  std::string teacher_model = "deeplabv3_resnet101";
  std::string device = "cpu";  // of student and teacher, as train.device of a job
  int batch = 4;               // images a step
  int threads = 0;             // intra-op threads of student and teacher; 0: all cores
  std::string scratch;         // folder for temporary data; empty: the system's
  std::string cache_program;   // reflux-cache; empty: the one beside this program

  // Puts in what was left open; InvalidArgument names the option and what is allowed.
  absl::Status Resolve();
};

// Images of 180x240, DeepLabV3-ResNet-18 student. `options` are resolved, the data set is
// in `root`. Errors: those of ParseJob.
absl::StatusOr<v1::JobSpec> StepBenchJob(const StepBenchOptions& options, const std::string& root);

inline constexpr int kStepBenchHeight = 180, kStepBenchWidth = 240;

}  // namespace reflux
