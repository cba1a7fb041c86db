#include "student_worker/trainer.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/status_macros.h"
#include "distill/checkpoint/scripted_model.h"
#include "distill/evaluation/evaluate.h"
#include "distill/losses/label_rotation.h"
#include "distill/models/counter_dropout.h"
#include "job_plan/evaluation_plan.h"
#include "student_worker/scoped_autocast.h"
#include "student_worker/trainer_state.h"

namespace reflux {

namespace {

// Elements of a target as it comes from `tap`; 0 if it is another's.
int64_t ElementsOf(const TargetSpec& spec, const TeacherInfo::Tap& tap, int64_t pixels,
                   int64_t classes) {
  if (spec.tap != tap.name) return 0;
  if (spec.reduction == Reduction::kClassSums) return classes * (tap.channels + 1);
  if (tap.stride < 1) return tap.channels;  // one position: a classifier's logits
  const int64_t window = std::max(1, MaxPoolWindow(spec.reduction));
  return pixels / (int64_t{tap.stride} * tap.stride * window * window) * tap.channels;
}

}  // namespace

torch::Tensor Trainer::State::ToDevice(const torch::Tensor& images) const {
  const torch::Tensor moved = Sent(images, device).to(dtype);
  return spec.train().channels_last() ? moved.contiguous(at::MemoryFormat::ChannelsLast) : moved;
}

LossInputs Trainer::State::Forward(const Batch& batch) {
  SetDropoutContext(*student, {.seed = spec.train().seed(),
                               .step = static_cast<uint64_t>(batch.step),
                               .first_position = static_cast<uint64_t>(batch.first_position)});
  LossInputs inputs{.labels = Sent(batch.labels, device),
                    .ignore_index = train->ignore_index(),
                    .step = static_cast<uint64_t>(batch.step),
                    .first_position = static_cast<uint64_t>(batch.first_position),
                    .global_batch = spec.train().global_batch(),
                    .total_steps = total_steps,
                    .label_share = batch.label_share};
  if (batch.mixed_labels.defined()) inputs.mixed_labels = Sent(batch.mixed_labels, device);
  const torch::Tensor images = ToDevice(batch.images);
  {
    const ScopedAutocast scope(autocast, device.type());
    inputs.student = student->Forward(images, taps);
    if (losses->reads_rotations()) inputs.rotated = student->Forward(RotateFour(images), taps);
  }
  for (auto& [tap, map] : inputs.student) map = map.to(dtype);
  for (auto& [tap, map] : inputs.rotated) map = map.to(dtype);
  if (batch.padding.defined()) inputs.padding = batch.padding.to(device, torch::kBool);
  for (const auto& [teacher, maps] : batch.targets) {
    for (const auto& [tap, map] : maps) inputs.teachers[teacher][tap] = Widened(map, device, dtype);
  }
  return inputs;
}

LossResult Trainer::State::ForwardBackward(const Batch& batch) {
  optimizer->ZeroGrad();
  const LossInputs inputs = Forward(batch);
  LossResult result = losses->Compute(inputs, step, total_steps, collectives, StopRequested());
  reducer->PrepareForBackward(result.total);
  result.total.backward();
  losses->ClipGradients();
  return result;
}

// The configured depth, or less when that many batches would not fit `prefetch_mib`. A target is
// counted as its bytes came and as it lies in the batch.
int64_t Trainer::State::PrefetchDepth() const {
  const int64_t share =
      (spec.train().global_batch() + communicator.world_size() - 1) / communicator.world_size();
  const int64_t pixels = int64_t{spec.data().crop(0)} * spec.data().crop(1);
  const BatchForm& form = maker->form();
  int64_t bytes = HostBytes(share * pixels * 3 * sizeof(float), form) +
                  HostBytes(share * pixels * sizeof(int64_t), form);
  for (const TeacherTargets& wanted : maker->teachers()) {
    const TeacherInfo& teacher = teachers.at(wanted.name);
    for (const TargetSpec& target : wanted.specs) {
      int64_t elements = 0;
      for (const TeacherInfo::Tap& tap : teacher.taps)
        elements += share * ElementsOf(target, tap, pixels, teacher.num_classes);
      const int64_t held =
          elements * static_cast<int64_t>(c10::elementSize(ElementType(target.codec, form)));
      bytes += held + HostBytes(held, form);
    }
  }
  const int64_t fitting =
      (int64_t{spec.train().prefetch_mib()} << 20) / std::max<int64_t>(1, bytes);
  return std::clamp<int64_t>(fitting, 1, std::max(1, spec.train().prefetch_depth()));
}

// A run that goes on from such a step may have been stopped within its evaluation: once too often
// is better than never.
bool Trainer::State::EvaluationDue() const {
  const int every = spec.train().eval_every();
  return step == 0 || (step < total_steps && every > 0 && step % every == 0);
}

absl::StatusOr<TrainingEnd> Trainer::State::Train() {
  if (EvaluationDue()) REFLUX_RETURN_IF_ERROR(Evaluate());
  Tell(&TrainingObserver::OnPhase, std::string("training"));
  OrderedPrefetcher<Batch> batches(
      {.first = step,
       .end = total_steps,
       .depth = PrefetchDepth(),
       .threads = std::max(1, spec.train().loader_threads())},
      [this](int64_t number, const std::shared_ptr<Cancellation>& cancellation) {
        at::set_num_threads(1);
        return maker->Make(number, cancellation);
      });
  while (step < total_steps) {
    const absl::Time start = absl::Now();
    REFLUX_ASSIGN_OR_RETURN(const Batch batch, batches.Next());
    const absl::Time ready = absl::Now();
    const LossResult result = ForwardBackward(batch);
    optimizer->Step(step);
    ++step;
    Tell(&TrainingObserver::OnStep,
         StepReport{.step = step,
                    .total_steps = total_steps,
                    .total_loss = result.total_value,
                    .losses = result.values,
                    .weights = result.weights,
                    .learning_rate = schedule.LearningRate(step - 1),
                    .seconds = absl::ToDoubleSeconds(absl::Now() - start),
                    .wait_seconds = absl::ToDoubleSeconds(ready - start),
                    .global_images = spec.train().global_batch(),
                    .images = batch.images.size(0),
                    .target_count = batch.target_count,
                    .target_bytes = batch.target_bytes});
    const int every = spec.train().checkpoint_every();
    if (result.stop || step == total_steps || (every > 0 && step % every == 0)) {
      REFLUX_RETURN_IF_ERROR(Checkpoint());
    }
    if (result.stop && step < total_steps) return TrainingEnd::kStopped;
    if (EvaluationDue()) {
      REFLUX_RETURN_IF_ERROR(Evaluate());
      Tell(&TrainingObserver::OnPhase, std::string("training"));
    }
  }
  REFLUX_RETURN_IF_ERROR(Finish());
  return TrainingEnd::kDone;
}

absl::Status Trainer::State::AgreeToGoOn(const absl::Status& status) {
  if (!status.ok() && !absl::IsCancelled(status)) return status;
  torch::Tensor stops = torch::full({1}, status.ok() ? 0.0 : 1.0, torch::kFloat64);
  communicator.AllReduceSum(stops);
  return stops.item<double>() > 0 ? absl::CancelledError("asked to stop") : absl::OkStatus();
}

// Every rank evaluates its share of the validation images; the counts are summed. Stopped within,
// the run goes on later from the step before it.
absl::Status Trainer::State::Evaluate() {
  Tell(&TrainingObserver::OnPhase, std::string("evaluating"));
  const absl::Time start = absl::Now();
  const auto images = static_cast<int64_t>(val->samples().size());
  REFLUX_ASSIGN_OR_RETURN(EvaluationPlan plan,
                          PlanEvaluation(spec.data(), student->align_corners()));
  const bool whole = val->task() == Task::kClassification;  // labels of images, which are small
  plan.evaluation.batch = whole ? 64 : 4;
  plan.evaluation.begin = ShareBegin(images, communicator.rank(), communicator.world_size());
  plan.evaluation.end = ShareBegin(images, communicator.rank() + 1, communicator.world_size());
  const auto predict = [this](const torch::Tensor& batch) -> absl::StatusOr<torch::Tensor> {
    const torch::NoGradGuard no_gradients;
    const ScopedAutocast scope(autocast, device.type());
    return student->Forward(ToDevice(batch), {"logits"}).at("logits");
  };
  student->eval();
  absl::StatusOr<ConfusionMatrix> matrix =
      reflux::Evaluate(*val, info.preprocessing, student->num_classes(), plan.evaluation,
                       WithInference(predict, plan.inference), options.stop.get());
  student->train();
  const absl::Status agreed = AgreeToGoOn(matrix.status());
  if (absl::IsCancelled(agreed)) REFLUX_RETURN_IF_ERROR(Checkpoint());
  REFLUX_RETURN_IF_ERROR(agreed);
  communicator.AllReduceSum(matrix->counts());
  if (whole) communicator.AllReduceSum(matrix->top_five_counts());
  EvaluationReport report{.step = step,
                          .miou = 100 * matrix->MeanIou(),
                          .miou_published = 100 * matrix->MeanIouPublished(),
                          .pixel_accuracy = 100 * matrix->PixelAccuracy(),
                          .seconds = absl::ToDoubleSeconds(absl::Now() - start)};
  if (whole) report.top1 = report.pixel_accuracy;
  if (HasTopFive(*val)) report.top5 = 100 * matrix->TopFiveAccuracy();
  for (double iou : matrix->ClassIou()) report.class_iou.push_back(100 * iou);
  Tell(&TrainingObserver::OnEvaluation, report);
  return absl::OkStatus();
}

absl::Status Trainer::State::Checkpoint() {
  if (communicator.rank() != 0 || step == saved_step) return absl::OkStatus();
  TrainingState state{.step = step, .job_digest = job_digest, .momentum = optimizer->SaveState()};
  for (const auto& [name, tensor] : LossState()) state.loss_state[name] = tensor.detach().cpu();
  info.extra["step"] = absl::StrCat(step);
  REFLUX_ASSIGN_OR_RETURN(
      const std::string path,
      SaveTrainingCheckpoint(options.directory + "/checkpoints", options.generation,
                             spec.train().keep_checkpoints(), *student, info, state));
  saved_step = step;
  Tell(&TrainingObserver::OnCheckpoint, step, path);
  return absl::OkStatus();
}

absl::Status Trainer::State::Finish() {
  REFLUX_RETURN_IF_ERROR(Evaluate());
  if (communicator.rank() == 0) {
    const std::string path = options.directory + "/student.safetensors";
    info.extra["step"] = absl::StrCat(step);
    REFLUX_RETURN_IF_ERROR(SaveModelCheckpoint(path, *student, info));
    if (const auto* scripted = dynamic_cast<const ScriptedModel*>(student.get())) {
      REFLUX_RETURN_IF_ERROR(
          scripted->Save(options.directory + "/student.pt", info.preprocessing));
    }
    Tell(&TrainingObserver::OnCheckpoint, step, path);
  }
  communicator.Barrier();
  return absl::OkStatus();
}

Trainer::Trainer(std::unique_ptr<State> state) : state_(std::move(state)) {}
Trainer::~Trainer() = default;
SegmentationModel& Trainer::student() { return *state_->student; }

absl::StatusOr<std::unique_ptr<Trainer>> Trainer::Create(const TrainerOptions& options,
                                                         Communicator& communicator,
                                                         std::vector<TrainingObserver*> observers) {
  auto state = std::make_unique<State>(options, communicator);
  state->observers = std::move(observers);
  try {
    REFLUX_RETURN_IF_ERROR(state->Build());
  } catch (const c10::Error& error) {
    return absl::UnavailableError(error.what_without_backtrace());
  }
  return std::unique_ptr<Trainer>(new Trainer(std::move(state)));
}

// The one boundary where LibTorch's exceptions become a status: a lost rank (collectives), or
// memory.
absl::StatusOr<TrainingEnd> Trainer::Run() {
  try {
    absl::StatusOr<TrainingEnd> end = state_->Train();
    return absl::IsCancelled(end.status()) ? TrainingEnd::kStopped : std::move(end);
  } catch (const c10::Error& error) {
    return absl::UnavailableError(
        absl::StrCat("training stopped: ", error.what_without_backtrace()));
  } catch (const std::exception& error) {
    return absl::UnavailableError(absl::StrCat("training stopped: ", error.what()));
  }
}

}  // namespace reflux
