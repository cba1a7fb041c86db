#include "bench/step_rounds.h"

#include <ATen/Parallel.h>
#include <spdlog/spdlog.h>

#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "bench/cpu_time.h"
#include "bench/step_scene.h"
#include "common/base/ordered_prefetcher.h"
#include "common/base/status_macros.h"

namespace reflux {
namespace {

// As the job file has it unless told otherwise.
constexpr int kPrefetchDepth = 4, kLoaderThreads = 2;

struct Instant {
  absl::Time time = absl::Now();
  double cpu = OwnCpuSeconds();
  double server_cpu = 0;
};

Instant Take(const StepScene& scene) { return {.server_cpu = scene.ServerCpuSeconds()}; }

absl::StatusOr<StepMeasurement> MeasureRound(const StepBenchOptions& options, StepScene& scene,
                                             const StepMode& mode) {
  OrderedPrefetcher<Batch> batches(
      {.end = std::numeric_limits<int64_t>::max(),
       .depth = kPrefetchDepth,
       .threads = kLoaderThreads},
      [&](int64_t number, const std::shared_ptr<Cancellation>& cancellation) {
        at::set_num_threads(1);
        return scene.MakeBatch(mode, number % options.steps, cancellation);
      });
  REFLUX_ASSIGN_OR_RETURN(const Batch untimed, batches.Next());
  REFLUX_RETURN_IF_ERROR(scene.student().Step(untimed));
  StepMeasurement sum;
  const Instant start = Take(scene);
  for (int step = 0; step < options.steps; ++step) {
    const absl::Time asked = absl::Now();
    REFLUX_ASSIGN_OR_RETURN(const Batch batch, batches.Next());
    sum.wait_seconds += absl::ToDoubleSeconds(absl::Now() - asked);
    sum.bytes += static_cast<double>(batch.target_bytes);
    REFLUX_RETURN_IF_ERROR(scene.student().Step(batch));
  }
  const Instant end = Take(scene);
  const double steps = options.steps;
  return StepMeasurement{.seconds = absl::ToDoubleSeconds(end.time - start.time) / steps,
                         .wait_seconds = sum.wait_seconds / steps,
                         .cpu_seconds = (end.cpu - start.cpu) / steps,
                         .server_cpu_seconds = (end.server_cpu - start.server_cpu) / steps,
                         .bytes = sum.bytes / steps};
}

absl::Status MeasureRow(const StepBenchOptions& options, StepScene& scene, const StepMode& mode,
                        StepSeries& series) {
  REFLUX_ASSIGN_OR_RETURN(const int64_t before, scene.TeacherImages());
  absl::StatusOr<StepMeasurement> round = MeasureRound(options, scene, mode);
  if (!round.ok()) {
    return absl::Status(round.status().code(),
                        absl::StrCat(mode.name, ": ", round.status().message()));
  }
  REFLUX_ASSIGN_OR_RETURN(const int64_t after, scene.TeacherImages());
  series.teacher_images += after - before;
  if ((after != before) != (mode.name == "live")) {
    return absl::InternalError(
        absl::StrCat(mode.name, ": the teacher computed ", after - before, " images"));
  }
  spdlog::info("round {}: {} {:.3f} s a step", series.rounds.size() + 1, mode.name, round->seconds);
  series.rounds.push_back(*round);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<StepSeries>> MeasureAll(const StepBenchOptions& options) {
  at::set_num_threads(options.threads);
  REFLUX_ASSIGN_OR_RETURN(const std::unique_ptr<StepScene> scene, StepScene::Create(options));
  const std::vector<StepMode>& modes = scene->modes();
  std::vector<StepSeries> all(modes.size());
  for (size_t i = 0; i < modes.size(); ++i) all[i].name = modes[i].name;
  for (int round = 0; round < options.rounds; ++round) {
    for (size_t i = 0; i < modes.size(); ++i) {
      const size_t row = (i + round) % modes.size();
      REFLUX_RETURN_IF_ERROR(MeasureRow(options, *scene, modes[row], all[row]));
    }
  }
  return all;
}

}  // namespace

absl::StatusOr<std::vector<StepSeries>> MeasureSteps(const StepBenchOptions& options) {
  try {
    return MeasureAll(options);
  } catch (const c10::Error& error) {
    return absl::InternalError(error.what_without_backtrace());
  }
}

}  // namespace reflux
