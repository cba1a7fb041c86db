#include "student_worker/observers.h"

#include <spdlog/spdlog.h>

#include <cerrno>
#include <cmath>
#include <nlohmann/json.hpp>

#include "absl/strings/str_format.h"
#include "common/base/file.h"

namespace reflux {
namespace {

using nlohmann::json;

// How much one step moves the averages that people read.
constexpr double kSmoothing = 0.1;

double Smooth(double before, double now) {
  return before == 0 ? now : before + kSmoothing * (now - before);
}

}  // namespace

absl::StatusOr<std::unique_ptr<JsonlObserver>> JsonlObserver::Open(const std::string& path,
                                                                   int generation) {
  std::FILE* file = std::fopen(path.c_str(), "ae");
  if (file == nullptr) return ErrnoStatus(errno, "cannot open", path);
  return std::unique_ptr<JsonlObserver>(new JsonlObserver(file, generation));
}

JsonlObserver::~JsonlObserver() { std::fclose(file_); }

void JsonlObserver::Write(const std::string& line) {
  std::fputs(line.c_str(), file_);
  std::fputc('\n', file_);
  std::fflush(file_);
}

void JsonlObserver::OnStep(const StepReport& report) {
  Write(json{{"kind", "step"},
             {"generation", generation_},
             {"step", report.step},
             {"loss", report.total_loss},
             {"losses", report.losses},
             {"weights", report.weights},
             {"learning_rate", report.learning_rate},
             {"seconds", report.seconds},
             {"wait_seconds", report.wait_seconds},
             {"targets", report.target_count},
             {"target_bytes", report.target_bytes}}
            .dump());
}

void JsonlObserver::OnEvaluation(const EvaluationReport& report) {
  if (report.top1.has_value()) return WriteAccuracy(report);
  json classes = json::array();
  for (double iou : report.class_iou)
    classes.push_back(std::isnan(iou) ? json(nullptr) : json(iou));
  Write(json{{"kind", "evaluation"},
             {"generation", generation_},
             {"step", report.step},
             {"miou", report.miou},
             {"miou_published", report.miou_published},
             {"pixel_accuracy", report.pixel_accuracy},
             {"class_iou", classes},
             {"seconds", report.seconds}}
            .dump());
}

void JsonlObserver::WriteAccuracy(const EvaluationReport& report) {
  Write(json{{"kind", "evaluation"},
             {"generation", generation_},
             {"step", report.step},
             {"top1", *report.top1},
             {"top5", report.top5.has_value() ? json(*report.top5) : json(nullptr)},
             {"seconds", report.seconds}}
            .dump());
}

void JsonlObserver::OnCheckpoint(int64_t step, const std::string& path) {
  Write(json{{"kind", "checkpoint"}, {"generation", generation_}, {"step", step}, {"path", path}}
            .dump());
}

void LogObserver::OnPhase(const std::string& phase) {
  spdlog::info("{}", phase);
  hashing_told_ = absl::Now();
}

void LogObserver::OnHashed(int64_t done, int64_t total) {
  const absl::Time now = absl::Now();
  if (log_every_ <= 0 || now - hashing_told_ < absl::Seconds(2)) return;
  hashing_told_ = now;
  spdlog::info("hashed {} of {} files", done, total);
}

void LogObserver::OnStep(const StepReport& report) {
  if (log_every_ <= 0 || (report.step % log_every_ != 0 && report.step != report.total_steps))
    return;
  std::string terms;
  for (const auto& [name, value] : report.losses)
    absl::StrAppendFormat(&terms, " %s %.4f", name, value);
  spdlog::info("step {}/{} loss {:.4f} ({}) lr {:.5f} {:.2f} s, of it {:.3f} s waiting",
               report.step, report.total_steps, report.total_loss,
               terms.empty() ? terms : terms.substr(1), report.learning_rate, report.seconds,
               report.wait_seconds);
}

void LogObserver::OnEvaluation(const EvaluationReport& report) {
  if (report.top1.has_value()) {
    const std::string top5 =
        report.top5.has_value() ? absl::StrFormat(", %.2f %% top-5", *report.top5) : "";
    spdlog::info("step {}: {:.2f} % top-1{} accuracy ({:.1f} s)", report.step, *report.top1, top5,
                 report.seconds);
    return;
  }
  spdlog::info("step {}: {:.2f} % mIoU, {:.2f} % pixel accuracy ({:.1f} s)", report.step,
               report.miou, report.pixel_accuracy, report.seconds);
}

void LogObserver::OnCheckpoint(int64_t step, const std::string& path) {
  spdlog::info("wrote {}", path);
}

MetricsObserver::MetricsObserver(MetricRegistry& registry, int rank)
    : registry_(registry), values_(rank == 0) {
  step_ = registry.AddGauge("reflux_worker_step", "Steps done.");
  total_steps_ = registry.AddGauge("reflux_worker_total_steps", "Steps of the whole run.");
  images_ = registry.AddCounter("reflux_worker_images_total", "Images that this rank trained on.");
  targets_ =
      registry.AddCounter("reflux_worker_targets_total", "Teacher targets consumed by this rank.");
  target_bytes_ =
      registry.AddCounter("reflux_worker_target_bytes_total", "Bytes of targets as delivered.");
  step_seconds_ =
      registry.AddHistogram("reflux_worker_step_seconds", "Duration of a step.", LatencyBuckets());
  wait_seconds_ =
      registry.AddHistogram("reflux_worker_wait_seconds",
                            "Part of a step spent waiting for its batch.", LatencyBuckets());
  if (!values_) return;
  loss_ = registry.AddGauge("reflux_worker_loss", "Weighted loss of the last global batch.");
  learning_rate_ =
      registry.AddGauge("reflux_worker_learning_rate", "Learning rate of the last step.");
  miou_ = registry.AddGauge("reflux_worker_miou_percent", "mIoU of the last evaluation.");
  pixel_accuracy_ = registry.AddGauge("reflux_worker_pixel_accuracy_percent",
                                      "Pixel accuracy of the last evaluation.");
}

void MetricsObserver::OnStep(const StepReport& report) {
  step_.Set(report.step);
  total_steps_.Set(report.total_steps);
  images_.Increment(report.images);
  targets_.Increment(report.target_count);
  target_bytes_.Increment(report.target_bytes);
  step_seconds_.Observe(report.seconds);
  wait_seconds_.Observe(report.wait_seconds);
  loss_.Set(report.total_loss);
  learning_rate_.Set(report.learning_rate);
  if (!values_) return;
  for (const auto& [term, value] : report.losses) {
    const auto [gauge, is_new] = terms_.try_emplace(term);
    if (is_new) {
      gauge->second = registry_.AddGauge("reflux_worker_loss_term_value",
                                         "Loss term of the last global batch, before its weight.",
                                         {{"term", term}});
    }
    gauge->second.Set(value);
  }
}

void MetricsObserver::OnEvaluation(const EvaluationReport& report) {
  if (!values_) return;
  if (report.top1.has_value()) return SetAccuracy(report);
  miou_.Set(report.miou);
  pixel_accuracy_.Set(report.pixel_accuracy);
}

void MetricsObserver::SetAccuracy(const EvaluationReport& report) {
  // A classifier has no such figures.
  miou_.Set(std::nan(""));
  pixel_accuracy_.Set(std::nan(""));
  const auto set = [&](const char* name, const char* what, double value) {
    const auto [gauge, is_new] = accuracies_.try_emplace(name);
    if (is_new) gauge->second = registry_.AddGauge(name, what);
    gauge->second.Set(value);
  };
  set("reflux_worker_top1_percent", "Top-1 accuracy of the last evaluation.", *report.top1);
  if (!report.top5.has_value()) return;
  set("reflux_worker_top5_percent", "Top-5 accuracy of the last evaluation.", *report.top5);
}

void ProgressObserver::OnPhase(const std::string& phase) {
  MutexLock lock(mutex_);
  progress_.set_phase(phase);
}

void ProgressObserver::OnStep(const StepReport& report) {
  MutexLock lock(mutex_);
  progress_.set_step(report.step);
  progress_.set_total_steps(report.total_steps);
  progress_.set_seconds_per_step(Smooth(progress_.seconds_per_step(), report.seconds));
  progress_.set_images_per_second(report.global_images /
                                  std::max(1e-9, progress_.seconds_per_step()));
  progress_.set_wait_for_targets_seconds(
      Smooth(progress_.wait_for_targets_seconds(), report.wait_seconds));
  (*progress_.mutable_losses())["total"] = report.total_loss;
  for (const auto& [name, value] : report.losses) (*progress_.mutable_losses())[name] = value;
  progress_.set_targets_fetched(progress_.targets_fetched() + report.target_count);
  progress_.set_target_bytes(progress_.target_bytes() + report.target_bytes);
}

void ProgressObserver::OnEvaluation(const EvaluationReport& report) {
  MutexLock lock(mutex_);
  if (report.top1.has_value()) {
    progress_.set_top1(*report.top1);
    if (report.top5.has_value()) progress_.set_top5(*report.top5);
    return;
  }
  progress_.set_miou(report.miou);
  progress_.set_pixel_accuracy(report.pixel_accuracy);
  progress_.clear_class_iou();
  for (double iou : report.class_iou) progress_.add_class_iou(std::isnan(iou) ? -1 : iou);
}

void ProgressObserver::OnCheckpoint(int64_t step, const std::string& path) {
  MutexLock lock(mutex_);
  progress_.set_checkpoint(path);
}

v1::Progress ProgressObserver::Snapshot() const {
  MutexLock lock(mutex_);
  return progress_;
}

}  // namespace reflux
