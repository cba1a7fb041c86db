// From the job to data, networks, losses, optimiser and batches, and the state to go on from.
#include <ATen/Parallel.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "common/base/status_macros.h"
#include "common/spec/job_teachers.h"
#include "distill/checkpoint/backbone_weights.h"
#include "distill/checkpoint/scripted_model.h"
#include "distill/data/label_file.h"
#include "distill/data/manifest.h"
#include "distill/models/batch_norm.h"
#include "distill/models/build_model.h"
#include "distill/models/placement.h"
#include "job_plan/data_plan.h"
#include "job_plan/device_plan.h"
#include "job_plan/loss_plan.h"
#include "job_plan/student_plan.h"
#include "student_worker/job_digest.h"
#include "student_worker/trainer_state.h"
#include "student_worker/view_start.h"

namespace reflux {
namespace {

int IntraOpThreads(const v1::JobSpec& spec) {
  if (spec.train().threads() > 0) return spec.train().threads();
  return std::max<int>(1, std::thread::hardware_concurrency() / std::max(1, spec.run().students()));
}

// `text` of rank 0, up to 4095 bytes, on every rank.
std::string FromRankZero(Communicator& communicator, const std::string& text) {
  torch::Tensor bytes = torch::zeros({4096}, torch::kUInt8);
  std::copy_n(text.begin(), std::min<size_t>(text.size(), 4095), bytes.data_ptr<uint8_t>());
  communicator.Broadcast(bytes, 0);
  return reinterpret_cast<const char*>(bytes.data_ptr<uint8_t>());
}

std::vector<int32_t> StridesOf(const std::vector<TargetSpec>& specs, const TeacherInfo& teacher) {
  std::vector<int32_t> strides;
  for (const TargetSpec& spec : specs) {
    const auto tap = std::find_if(teacher.taps.begin(), teacher.taps.end(),
                                  [&](const auto& known) { return known.name == spec.tap; });
    strides.push_back(tap == teacher.taps.end() ? 1 : std::max(1, tap->stride));
  }
  return strides;
}

// What LibTorch allocates for this thread without being told where goes to the rank's own GPU.
void UseDevice(const torch::Device& device) {
  c10::impl::VirtualGuardImpl(device.type()).setDevice(device);
  spdlog::info("training on {}", device.str());
}

bool AnyReadsLabels(const std::vector<TargetSpec>& specs) {
  return std::any_of(specs.begin(), specs.end(),
                     [](const TargetSpec& spec) { return ReadsLabels(spec.reduction); });
}

}  // namespace

absl::Status Trainer::State::OpenData() {
  REFLUX_ASSIGN_OR_RETURN(train, OpenTrainSplit(spec.data()));
  REFLUX_ASSIGN_OR_RETURN(val, OpenValSplit(spec.data()));
  REFLUX_ASSIGN_OR_RETURN(total_steps, PlanSteps(spec.train(), train->samples().size()));
  return absl::OkStatus();
}

absl::Status Trainer::State::FindTeachers() {
  for (const std::string& name : UsedTeachers(spec)) {
    const auto source = options.sources.find(name);
    if (source == options.sources.end()) {
      return absl::FailedPreconditionError(
          absl::StrCat("losses: no source of targets was given for the teacher ", name));
    }
    Tell(&TrainingObserver::OnPhase, absl::StrCat("waiting for the teacher ", name));
    REFLUX_ASSIGN_OR_RETURN(teachers[name], source->second.source->GetTeacherInfo(
                                                {.deadline = absl::Now() + absl::Minutes(10),
                                                 .cancellation = options.stop}));
  }
  return absl::OkStatus();
}

absl::Status Trainer::State::LoadInitialWeights() {
  const std::string &whole = spec.student().init(), &backbone = spec.student().backbone();
  if (!whole.empty()) {
    REFLUX_RETURN_IF_ERROR(LoadModelWeights(whole, *student));
    initial_weights = TeacherDigest(*student).Hex();
  }
  if (backbone.empty()) return absl::OkStatus();
  REFLUX_ASSIGN_OR_RETURN(const BackboneLoad load, LoadBackboneWeights(backbone, *student));
  initial_weights = load.digest.Hex();
  if (communicator.rank() == 0) spdlog::info("backbone of {}: {}", backbone, load.ToString());
  return absl::OkStatus();
}

absl::Status Trainer::State::BuildKnownStudent() {
  REFLUX_ASSIGN_OR_RETURN(student, BuildModel(info.options));
  REFLUX_ASSIGN_OR_RETURN(info.options, ResolveModelOptions(info.options));
  InitializeWeights(*student, spec.train().seed());
  return LoadInitialWeights();
}

absl::Status Trainer::State::LoadScriptedStudent() {
  const std::string& path = spec.student().init();
  REFLUX_ASSIGN_OR_RETURN(ScriptedCheckpoint scripted, LoadScriptedModel(path));
  const ScriptedModel& model = *scripted.model;
  if (model.num_classes() != info.options.num_classes) {
    return absl::FailedPreconditionError(absl::StrCat(
        path, " has ", model.num_classes(), " classes, the data set ", info.options.num_classes));
  }
  if (model.parameters().empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, " has no parameters to train (was it frozen?)"));
  }
  if (communicator.world_size() > 1 && !model.norms().empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, ": the batch norms of a TorchScript module cannot be synchronised over ",
                     communicator.world_size(), " students (", absl::StrJoin(model.norms(), ", "),
                     "): set run.students: 1"));
  }
  if (const auto random = model.random_operators(); !random.empty() && communicator.rank() == 0) {
    spdlog::warn("{}: {} draws from LibTorch's random state: a resumed run will not repeat it",
                 path, absl::StrJoin(random, ", "));
  }
  info.preprocessing = scripted.preprocessing;
  initial_weights = TeacherDigest(model).Hex();
  student = std::move(scripted.model);
  student->train();
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
  REFLUX_ASSIGN_OR_RETURN(device, PlanDevice(spec.train().device(), communicator.rank()));
  WarnOfSlowBf16(device, autocast, "train.precision");
  if (device.is_cuda()) UseDevice(device);
  REFLUX_ASSIGN_OR_RETURN(info.options, PlanModel(spec, train->class_names().size()));
  info.classes = train->class_names();
  info.preprocessing = PlanPreprocessing(spec.data());
  info.extra["job"] = spec.name();
  REFLUX_RETURN_IF_ERROR(spec.student().model() == kTorchScript ? LoadScriptedStudent()
                                                                : BuildKnownStudent());
  PlaceModule(*student, device, dtype, spec.train().channels_last());
  if (communicator.world_size() > 1) {
    SetBatchNormSync(*student, std::make_shared<CommunicatorBatchNormSync>(communicator));
  }
  return absl::OkStatus();
}

absl::Status Trainer::State::BuildLosses() {
  REFLUX_ASSIGN_OR_RETURN(losses, PlanLosses(spec, *student, teachers));
  PlaceModule(*losses, device, dtype, /*channels_last=*/false);
  if (communicator.world_size() > 1) {
    SetBatchNormSync(*losses, std::make_shared<CommunicatorBatchNormSync>(communicator));
  }
  taps = losses->student_taps();
  return absl::OkStatus();
}

std::map<std::string, torch::Tensor> Trainer::State::LossState() const {
  std::map<std::string, torch::Tensor> state;
  for (const auto& item : losses->named_parameters()) state[item.key()] = item.value();
  for (const auto& item : losses->named_buffers()) state[item.key()] = item.value();
  return state;
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
  BatchMakerOptions maker_options{.decoded_bytes = int64_t{spec.data().decoded_mib()} << 20,
                                  .view_seed = spec.data().view_seed(),
                                  .preprocessing = info.preprocessing,
                                  .rank = communicator.rank(),
                                  .world_size = communicator.world_size(),
                                  .form = FormFor(device)};
  for (const auto& [name, teacher] : teachers) {
    TeacherTargets wanted{
        .name = name, .source = options.sources.at(name).source, .identity = teacher.identity};
    REFLUX_ASSIGN_OR_RETURN(wanted.specs, PlanTargetSpecs(spec.targets(), *losses, name));
    wanted.strides = StridesOf(wanted.specs, teacher);
    maker_options.teachers.push_back(std::move(wanted));
  }
  REFLUX_ASSIGN_OR_RETURN(maker_options.views, ResolveViews(maker_options.teachers));
  REFLUX_ASSIGN_OR_RETURN(maker_options.mix, PlanMix(spec.train()));
  maker_options.stream = {.samples = static_cast<int64_t>(train->samples().size()),
                          .global_batch = spec.train().global_batch(),
                          .replay = maker_options.views.replay,
                          .seed = spec.train().seed()};
  if (maker_options.stream.global_batch < communicator.world_size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("train.global_batch: ", maker_options.stream.global_batch,
                     " images cannot be shared by ", communicator.world_size(), " students"));
  }
  const bool reads_labels =
      std::any_of(maker_options.teachers.begin(), maker_options.teachers.end(),
                  [](const TeacherTargets& wanted) { return AnyReadsLabels(wanted.specs); });
  SampleIdentities digests;
  REFLUX_RETURN_IF_ERROR(AgreeToGoOn(HashSamples(reads_labels, digests)));
  const bool fresh = maker_options.views.replay == 0 && !maker_options.views.whole;
  for (TeacherTargets& wanted : maker_options.teachers) {
    const TeacherAccess& access = options.sources.at(wanted.name);
    if (fresh && access.fresh_source != nullptr) wanted.source = access.fresh_source;
  }
  maker = std::make_unique<BatchMaker>(*train, std::move(digests), maker_options);
  return absl::OkStatus();
}

absl::Status Trainer::State::HashSamples(bool labels, SampleIdentities& digests) {
  Tell(&TrainingObserver::OnPhase, std::string("hashing images"));
  const std::string manifests = options.directory + "/manifests";
  const HashWatch watch{.stop = options.stop.get(), .on_done = [this](int64_t done, int64_t total) {
                          Tell(&TrainingObserver::OnHashed, done, total);
                        }};
  REFLUX_ASSIGN_OR_RETURN(digests.images, SampleDigests(*train, manifests, watch));
  if (!labels) return absl::OkStatus();
  REFLUX_ASSIGN_OR_RETURN(digests.labels, LabelDigests(*train, manifests, watch));
  return absl::OkStatus();
}

// Every rank looks at the same figures (they come through the same cache, so once), or those that
// wait would time out; rank 0's decision counts: a status code and the choice or what is wrong.
absl::StatusOr<ViewPolicy> Trainer::State::ResolveViews(const std::vector<TeacherTargets>& wanted) {
  REFLUX_ASSIGN_OR_RETURN(ViewPolicy policy, PlanViews(spec));
  if (!policy.whole && !policy.automatic) return policy;
  std::string told;
  if (wanted.empty()) {
    told = "0 live";  // without a teacher every draw may be a fresh view
  } else if (wanted.size() > 1) {
    return absl::UnimplementedError(absl::StrCat("not available in this version: targets.views ",
                                                 spec.targets().views(),
                                                 " with several teachers; use replay or live"));
  } else {
    const TeacherAccess& access = options.sources.at(wanted[0].name);
    const bool leader = communicator.rank() == 0;
    Tell(&TrainingObserver::OnPhase, std::string("choosing views"));
    const absl::StatusOr<ViewDecision> decision =
        DecideViews({.spec = spec,
                     .specs = wanted[0].specs,
                     .teacher = teachers.at(wanted[0].name),
                     .source = *access.source,
                     .train = *train,
                     .val = *val,
                     .notes = access.notes,
                     .total_steps = total_steps,
                     .directory = options.directory,
                     .keep_choice = leader,
                     .stop = options.stop});
    if (leader && decision.ok())
      spdlog::info("views: {}: {}", decision->choice.ToString(), decision->why);
    told = absl::StrCat(decision.status().raw_code(), " ",
                        decision.ok() ? decision->choice.ToString() : decision.status().message());
  }
  const std::pair<std::string, std::string> parts =
      absl::StrSplit(FromRankZero(communicator, told), absl::MaxSplits(' ', 1));
  int code = 0;
  if (!absl::SimpleAtoi(parts.first, &code)) return absl::InternalError("views: no decision came");
  if (code != 0) return absl::Status(static_cast<absl::StatusCode>(code), parts.second);
  REFLUX_RETURN_IF_ERROR(ParseViewPolicy(parts.second, &policy));
  return policy;
}

// Rank 0 chooses, so that all ranks go on from the same step.
absl::Status Trainer::State::Resume() {
  std::string weights = initial_weights;
  for (const auto& [name, teacher] : teachers)
    absl::StrAppend(&weights, "\n", name, "=", teacher.identity.digest.Hex());
  job_digest = JobDigest(spec, weights);
  std::string path;
  if (communicator.rank() == 0) path = NewestValidCheckpoint(options.directory + "/checkpoints");
  path = FromRankZero(communicator, path);
  if (path.empty()) return absl::OkStatus();
  REFLUX_ASSIGN_OR_RETURN(TrainingState saved, LoadTrainingCheckpoint(path, *student));
  if (saved.job_digest != job_digest) {
    return absl::FailedPreconditionError(
        absl::StrCat(path,
                     " belongs to a job with other settings, initial weights or teacher weights: "
                     "give this one a folder of its own, or delete the folder"));
  }
  REFLUX_RETURN_IF_ERROR(optimizer->LoadState(saved.momentum));
  const torch::NoGradGuard no_gradients;
  for (const auto& [name, tensor] : LossState()) {
    const auto it = saved.loss_state.find(name);
    if (it == saved.loss_state.end()) {
      return absl::DataLossError(absl::StrCat(path, ": lacks ", name, " of the losses"));
    }
    tensor.copy_(it->second);
  }
  step = saved_step = saved.step;
  return absl::OkStatus();
}

absl::Status Trainer::State::Build() {
  at::set_num_threads(IntraOpThreads(spec));
  REFLUX_RETURN_IF_ERROR(OpenData());
  REFLUX_RETURN_IF_ERROR(AgreeToGoOn(FindTeachers()));
  REFLUX_RETURN_IF_ERROR(BuildStudent());
  REFLUX_RETURN_IF_ERROR(BuildLosses());
  REFLUX_RETURN_IF_ERROR(BuildOptimizer());
  REFLUX_RETURN_IF_ERROR(BuildMaker());
  return Resume();
}

}  // namespace reflux
