#include "student_worker/trainer.h"

#include <ATen/Parallel.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/status_macros.h"
#include "common/spec/job_teachers.h"
#include "distill/data/manifest.h"
#include "distill/evaluation/evaluate.h"
#include "distill/models/batch_norm.h"
#include "distill/models/build_model.h"
#include "distill/models/counter_dropout.h"
#include "distill/models/placement.h"
#include "job_plan/data_plan.h"
#include "job_plan/student_plan.h"
#include "job_plan/teacher_plan.h"
#include "student_worker/collectives/distillation_adapters.h"
#include "student_worker/scoped_autocast.h"

namespace reflux {
namespace {

// What determines a run's numbers: everything but names, places and the number of processes.
std::string JobDigest(const v1::JobSpec& spec) {
  v1::JobSpec relevant = spec;
  relevant.clear_name();
  relevant.clear_run();
  relevant.mutable_data()->clear_root();
  relevant.mutable_targets()->clear_cache();
  for (auto& [name, teacher] : *relevant.mutable_teachers()) teacher.clear_checkpoint();
  v1::TrainSpec* train = relevant.mutable_train();
  for (auto clear : {&v1::TrainSpec::clear_eval_every, &v1::TrainSpec::clear_checkpoint_every,
                     &v1::TrainSpec::clear_keep_checkpoints, &v1::TrainSpec::clear_prefetch_depth,
                     &v1::TrainSpec::clear_loader_threads, &v1::TrainSpec::clear_prefetch_mib,
                     &v1::TrainSpec::clear_log_every}) {
    (train->*clear)();
  }
  std::string bytes;
  google::protobuf::io::StringOutputStream stream(&bytes);
  google::protobuf::io::CodedOutputStream coded(&stream);
  coded.SetSerializationDeterministic(true);
  relevant.SerializeToCodedStream(&coded);
  coded.Trim();
  return Sha256::Of(bytes).Hex();
}

int IntraOpThreads(const v1::JobSpec& spec) {
  if (spec.train().threads() > 0) return spec.train().threads();
  return std::max<int>(1, std::thread::hardware_concurrency() / std::max(1, spec.run().students()));
}

}  // namespace

struct Trainer::State {
  State(const TrainerOptions& trainer_options, Communicator& trainer_communicator)
      : options(trainer_options),
        spec(options.spec),
        communicator(trainer_communicator),
        collectives(trainer_communicator) {}

  const TrainerOptions options;
  const v1::JobSpec& spec;
  Communicator& communicator;
  CommunicatorLossCollectives collectives;
  std::vector<TrainingObserver*> observers;

  torch::Device device = torch::kCPU;
  torch::ScalarType dtype = torch::kFloat32;
  bool autocast = false;
  std::unique_ptr<Dataset> train, val;
  std::optional<TeacherInfo> teacher;
  CheckpointInfo info;
  std::shared_ptr<SegmentationModel> student;
  std::shared_ptr<LossSet> losses;
  std::vector<std::string> taps;
  PolySchedule schedule;
  std::unique_ptr<Sgd> optimizer;
  std::unique_ptr<GradientReducer> reducer;
  std::unique_ptr<BatchMaker> maker;
  std::string job_digest;
  int64_t total_steps = 0;
  int64_t step = 0;  // steps done

  absl::Status OpenData();
  absl::Status FindTeacher();
  absl::Status BuildStudent();
  absl::Status BuildLosses();
  absl::Status BuildOptimizer();
  absl::Status BuildMaker();
  absl::Status Resume();
  absl::Status Build();

  absl::StatusOr<TrainingEnd> Train();
  LossResult ForwardBackward(const Batch& batch);
  LossInputs Forward(const Batch& batch);
  absl::Status Evaluate();
  absl::Status Checkpoint();
  absl::Status Finish();
  int64_t PrefetchDepth() const;
  bool StopRequested() const { return options.stop != nullptr && options.stop->cancelled(); }
  torch::Tensor ToDevice(const torch::Tensor& images) const;
  template <typename... Params, typename... Args>
  void Tell(void (TrainingObserver::*what)(Params...), const Args&... args) {
    for (TrainingObserver* observer : observers) (observer->*what)(args...);
  }
};

absl::Status Trainer::State::OpenData() {
  REFLUX_ASSIGN_OR_RETURN(train, OpenTrainSplit(spec.data()));
  REFLUX_ASSIGN_OR_RETURN(val, OpenValSplit(spec.data()));
  REFLUX_ASSIGN_OR_RETURN(total_steps, PlanSteps(spec.train(), train->samples().size()));
  return absl::OkStatus();
}

absl::Status Trainer::State::FindTeacher() {
  if (!NeedsTeacher(spec.losses())) return absl::OkStatus();
  if (options.source == nullptr)
    return absl::FailedPreconditionError("losses: no source of targets was given");
  Tell(&TrainingObserver::OnPhase, std::string("waiting for the teacher"));
  REFLUX_ASSIGN_OR_RETURN(
      teacher, options.source->GetTeacherInfo(
                   {.deadline = absl::Now() + absl::Minutes(10), .cancellation = options.stop}));
  return absl::OkStatus();
}

absl::Status Trainer::State::BuildStudent() {
  const std::string& precision = spec.train().precision();
  if (precision != "fp32" && precision != "bf16" && precision != "fp64") {
    return absl::InvalidArgumentError(
        absl::StrCat("train.precision: '", precision, "' is none of fp32, bf16, fp64"));
  }
  autocast = precision == "bf16";
  dtype = precision == "fp64" ? torch::kFloat64 : torch::kFloat32;
  REFLUX_ASSIGN_OR_RETURN(device, PlanDevice(spec.train().device()));
  REFLUX_ASSIGN_OR_RETURN(info.options, PlanModel(spec, train->class_names().size()));
  info.classes = train->class_names();
  info.extra["job"] = spec.name();
  REFLUX_ASSIGN_OR_RETURN(student, BuildModel(info.options));
  REFLUX_ASSIGN_OR_RETURN(info.options, ResolveModelOptions(info.options));
  InitializeWeights(*student, spec.train().seed());
  if (!spec.student().init().empty()) {
    REFLUX_RETURN_IF_ERROR(LoadModelWeights(spec.student().init(), *student));
  }
  PlaceModule(*student, device, dtype, spec.train().channels_last());
  if (communicator.world_size() > 1) {
    SetBatchNormSync(*student, std::make_shared<CommunicatorBatchNormSync>(communicator));
  }
  return absl::OkStatus();
}

absl::Status Trainer::State::BuildLosses() {
  REFLUX_ASSIGN_OR_RETURN(losses, PlanLosses(spec, *student, teacher));
  PlaceModule(*losses, device, dtype, /*channels_last=*/false);
  taps = losses->student_taps();
  return absl::OkStatus();
}

absl::Status Trainer::State::BuildOptimizer() {
  Sgd::NamedParameters parameters = ParametersOf(*student);
  parameters.merge(ParametersOf(*losses, "losses."));
  const SgdOptions sgd = PlanSgd(spec.train(), total_steps);
  schedule = sgd.schedule;
  REFLUX_ASSIGN_OR_RETURN(optimizer, Sgd::Create(parameters, sgd));
  std::vector<torch::Tensor> ordered = student->parameters();
  for (const torch::Tensor& parameter : losses->parameters()) ordered.push_back(parameter);
  REFLUX_ASSIGN_OR_RETURN(reducer, communicator.MakeGradientReducer(ordered, {}));
  return absl::OkStatus();
}

absl::Status Trainer::State::BuildMaker() {
  BatchMakerOptions maker_options{.view_seed = spec.data().view_seed(),
                                  .preprocessing = info.preprocessing,
                                  .rank = communicator.rank(),
                                  .world_size = communicator.world_size()};
  REFLUX_ASSIGN_OR_RETURN(maker_options.views, PlanViews(spec));
  maker_options.stream = {.samples = static_cast<int64_t>(train->samples().size()),
                          .global_batch = spec.train().global_batch(),
                          .replay = maker_options.views.replay,
                          .seed = spec.train().seed()};
  if (maker_options.stream.global_batch < communicator.world_size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("train.global_batch: ", maker_options.stream.global_batch,
                     " images cannot be shared by ", communicator.world_size(), " students"));
  }
  if (teacher.has_value()) {
    REFLUX_ASSIGN_OR_RETURN(maker_options.specs, PlanTargetSpecs(spec.targets(), *losses));
    maker_options.teacher = teacher->identity;
  }
  Tell(&TrainingObserver::OnPhase, std::string("hashing images"));
  REFLUX_ASSIGN_OR_RETURN(std::vector<Digest> digests,
                          SampleDigests(*train, options.directory + "/manifests"));
  maker = std::make_unique<BatchMaker>(*train, std::move(digests), options.source, maker_options);
  return absl::OkStatus();
}

// Rank 0 chooses, so that all ranks go on from the same step.
absl::Status Trainer::State::Resume() {
  job_digest = JobDigest(spec);
  std::string path;
  if (communicator.rank() == 0) path = NewestValidCheckpoint(options.directory + "/checkpoints");
  torch::Tensor name = torch::zeros({4096}, torch::kUInt8);
  std::copy_n(path.begin(), std::min<size_t>(path.size(), 4095), name.data_ptr<uint8_t>());
  communicator.Broadcast(name, 0);
  path = reinterpret_cast<const char*>(name.data_ptr<uint8_t>());
  if (path.empty()) return absl::OkStatus();
  REFLUX_ASSIGN_OR_RETURN(TrainingState saved, LoadTrainingCheckpoint(path, *student));
  if (saved.job_digest != job_digest) {
    return absl::FailedPreconditionError(
        absl::StrCat(path,
                     " belongs to a job with other settings: give this one a folder of its own, or "
                     "delete the folder"));
  }
  REFLUX_RETURN_IF_ERROR(optimizer->LoadState(saved.momentum));
  const torch::NoGradGuard no_gradients;
  for (auto& parameter : losses->named_parameters()) {
    const auto it = saved.loss_parameters.find(parameter.key());
    if (it == saved.loss_parameters.end()) {
      return absl::DataLossError(
          absl::StrCat(path, ": lacks the loss parameter ", parameter.key()));
    }
    parameter.value().copy_(it->second);
  }
  step = saved.step;
  return absl::OkStatus();
}

absl::Status Trainer::State::Build() {
  at::set_num_threads(IntraOpThreads(spec));
  REFLUX_RETURN_IF_ERROR(OpenData());
  REFLUX_RETURN_IF_ERROR(FindTeacher());
  REFLUX_RETURN_IF_ERROR(BuildStudent());
  REFLUX_RETURN_IF_ERROR(BuildLosses());
  REFLUX_RETURN_IF_ERROR(BuildOptimizer());
  REFLUX_RETURN_IF_ERROR(BuildMaker());
  return Resume();
}

torch::Tensor Trainer::State::ToDevice(const torch::Tensor& images) const {
  const torch::Tensor moved = images.to(device, dtype);
  return spec.train().channels_last() ? moved.contiguous(at::MemoryFormat::ChannelsLast) : moved;
}

LossInputs Trainer::State::Forward(const Batch& batch) {
  SetDropoutContext(*student, {.seed = spec.train().seed(),
                               .step = static_cast<uint64_t>(batch.step),
                               .first_position = static_cast<uint64_t>(batch.first_position)});
  LossInputs inputs{.labels = batch.labels.to(device), .ignore_index = train->ignore_index()};
  {
    const ScopedAutocast scope(autocast, device.type());
    inputs.student = student->Forward(ToDevice(batch.images), taps);
  }
  for (auto& [tap, map] : inputs.student) map = map.to(dtype);
  for (const auto& [tap, map] : batch.targets) inputs.teacher[tap] = map.to(device, dtype);
  return inputs;
}

LossResult Trainer::State::ForwardBackward(const Batch& batch) {
  optimizer->ZeroGrad();
  const LossInputs inputs = Forward(batch);
  LossResult result = losses->Compute(inputs, step, total_steps, collectives, StopRequested());
  reducer->PrepareForBackward(result.total);
  result.total.backward();
  return result;
}

// The configured depth, or less when that many batches would not fit `prefetch_mib`.
int64_t Trainer::State::PrefetchDepth() const {
  const int64_t share =
      (spec.train().global_batch() + communicator.world_size() - 1) / communicator.world_size();
  const int64_t pixels = int64_t{spec.data().crop(0)} * spec.data().crop(1);
  int64_t bytes = pixels * (3 * sizeof(float) + sizeof(int64_t));
  if (teacher.has_value()) {
    for (const std::string& wanted : losses->teacher_taps()) {
      for (const TeacherInfo::Tap& tap : teacher->taps) {
        if (tap.name == wanted)
          bytes += pixels / (tap.stride * tap.stride) * tap.channels * sizeof(float) * 2;
      }
    }
  }
  const int64_t fitting =
      (int64_t{spec.train().prefetch_mib()} << 20) / std::max<int64_t>(1, share * bytes);
  return std::clamp<int64_t>(fitting, 1, std::max(1, spec.train().prefetch_depth()));
}

absl::StatusOr<TrainingEnd> Trainer::State::Train() {
  if (step == 0) REFLUX_RETURN_IF_ERROR(Evaluate());
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
    const int eval_every = spec.train().eval_every();
    if (step < total_steps && eval_every > 0 && step % eval_every == 0) {
      REFLUX_RETURN_IF_ERROR(Evaluate());
      Tell(&TrainingObserver::OnPhase, std::string("training"));
    }
  }
  REFLUX_RETURN_IF_ERROR(Finish());
  return TrainingEnd::kDone;
}

// Every rank evaluates its share of the validation images; the counts are summed.
absl::Status Trainer::State::Evaluate() {
  Tell(&TrainingObserver::OnPhase, std::string("evaluating"));
  const absl::Time start = absl::Now();
  const auto images = static_cast<int64_t>(val->samples().size());
  EvaluationOptions evaluation{
      .batch = 4,
      .begin = ShareBegin(images, communicator.rank(), communicator.world_size()),
      .end = ShareBegin(images, communicator.rank() + 1, communicator.world_size())};
  if (spec.data().eval_size_size() == 2) {
    evaluation.height = spec.data().eval_size(0);
    evaluation.width = spec.data().eval_size(1);
  }
  const auto predict = [this](const torch::Tensor& batch) -> absl::StatusOr<torch::Tensor> {
    const torch::NoGradGuard no_gradients;
    const ScopedAutocast scope(autocast, device.type());
    return student->Forward(ToDevice(batch), {"logits"}).at("logits");
  };
  student->eval();
  absl::StatusOr<ConfusionMatrix> matrix =
      reflux::Evaluate(*val, info.preprocessing, student->num_classes(), evaluation, predict,
                       /*cancellation=*/nullptr);
  student->train();
  REFLUX_RETURN_IF_ERROR(matrix.status());
  communicator.AllReduceSum(matrix->counts());
  EvaluationReport report{.step = step,
                          .miou = 100 * matrix->MeanIou(),
                          .miou_published = 100 * matrix->MeanIouPublished(),
                          .pixel_accuracy = 100 * matrix->PixelAccuracy(),
                          .seconds = absl::ToDoubleSeconds(absl::Now() - start)};
  for (double iou : matrix->ClassIou()) report.class_iou.push_back(100 * iou);
  Tell(&TrainingObserver::OnEvaluation, report);
  return absl::OkStatus();
}

absl::Status Trainer::State::Checkpoint() {
  if (communicator.rank() != 0) return absl::OkStatus();
  TrainingState state{.step = step, .job_digest = job_digest, .momentum = optimizer->SaveState()};
  for (const auto& parameter : losses->named_parameters()) {
    state.loss_parameters[parameter.key()] = parameter.value().detach().cpu();
  }
  info.extra["step"] = absl::StrCat(step);
  REFLUX_ASSIGN_OR_RETURN(
      const std::string path,
      SaveTrainingCheckpoint(options.directory + "/checkpoints", options.generation,
                             spec.train().keep_checkpoints(), *student, info, state));
  Tell(&TrainingObserver::OnCheckpoint, step, path);
  return absl::OkStatus();
}

absl::Status Trainer::State::Finish() {
  REFLUX_RETURN_IF_ERROR(Evaluate());
  if (communicator.rank() == 0) {
    const std::string path = options.directory + "/student.safetensors";
    info.extra["step"] = absl::StrCat(step);
    REFLUX_RETURN_IF_ERROR(SaveModelCheckpoint(path, *student, info));
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
    return state_->Train();
  } catch (const c10::Error& error) {
    return absl::UnavailableError(
        absl::StrCat("training stopped: ", error.what_without_backtrace()));
  } catch (const std::exception& error) {
    return absl::UnavailableError(absl::StrCat("training stopped: ", error.what()));
  }
}

}  // namespace reflux
