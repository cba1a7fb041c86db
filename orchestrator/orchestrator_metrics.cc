#include "orchestrator/orchestrator_metrics.h"

#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/strip.h"

namespace reflux {

OrchestratorMetrics::OrchestratorMetrics(MetricRegistry* registry) : registry_(registry) {
  AddRestarts(0);
}

void OrchestratorMetrics::SetJobs(v1::JobState state, int count) {
  const std::string name = v1::JobState_Name(state);
  Set("reflux_orchestrator_jobs", "Jobs by state",
      {{"state", absl::AsciiStrToLower(absl::StripPrefix(name, "JOB_STATE_"))}}, count);
}

void OrchestratorMetrics::SetProcesses(int count) {
  Set("reflux_orchestrator_processes", "Processes started and not ended", {}, count);
}

void OrchestratorMetrics::AddRestarts(int64_t count) {
  if (registry_ == nullptr) return;
  registry_
      ->AddCounter("reflux_orchestrator_restarts_total",
                   "Restarts of generations and of services since this orchestrator started", {})
      .Increment(static_cast<double>(count));
}

void OrchestratorMetrics::SetProgress(const store::JobRecord& job) {
  const v1::Progress& progress = job.progress();
  const MetricLabels labels = {{"job_id", job.job_id()}};
  Set("reflux_orchestrator_job_step", "Last step of the job", labels, progress.step());
  Set("reflux_orchestrator_job_steps", "Steps the job will make", labels, progress.total_steps());
  Set("reflux_orchestrator_job_step_seconds", "Seconds a step", labels,
      progress.seconds_per_step());
  for (const auto& [term, value] : progress.losses()) {
    Set("reflux_orchestrator_job_loss", "Last value of a term of the loss",
        {{"job_id", job.job_id()}, {"term", term}}, value);
  }
  if (progress.class_iou_size() > 0) {
    Set("reflux_orchestrator_job_miou_percent", "mIoU of the last evaluation", labels,
        progress.miou());
    Set("reflux_orchestrator_job_pixel_accuracy_percent", "Pixel accuracy of the last evaluation",
        labels, progress.pixel_accuracy());
  }
  if (progress.has_top1()) {
    Set("reflux_orchestrator_job_top1_percent", "Top-1 accuracy of the last evaluation", labels,
        progress.top1());
  }
  if (progress.has_top5()) {
    Set("reflux_orchestrator_job_top5_percent", "Top-5 accuracy of the last evaluation", labels,
        progress.top5());
  }
}

void OrchestratorMetrics::Set(const char* name, const char* help, const MetricLabels& labels,
                              double value) {
  if (registry_ != nullptr) registry_->AddGauge(name, help, labels).Set(value);
}

}  // namespace reflux
