#include "bench/step_scene.h"

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "bench/untrained_teacher.h"
#include "common/base/status_macros.h"
#include "common/targets/remote_source.h"
#include "distill/data/label_file.h"
#include "distill/data/manifest.h"
#include "distill/data/scenes.h"
#include "distill/teacher/local_source.h"
#include "job_plan/data_plan.h"
#include "job_plan/device_plan.h"
#include "job_plan/student_plan.h"
#include "job_plan/teacher_plan.h"

namespace reflux {
namespace {

constexpr int64_t kBatches = 4;  // images, in batches

}  // namespace

absl::StatusOr<std::unique_ptr<StepScene>> StepScene::Create(const StepBenchOptions& options) {
  auto scene = std::unique_ptr<StepScene>(new StepScene);
  REFLUX_RETURN_IF_ERROR(scene->MakeData(options));
  REFLUX_RETURN_IF_ERROR(scene->MakeTeacherAndStudent(options));
  REFLUX_RETURN_IF_ERROR(scene->FillCache(options));
  REFLUX_RETURN_IF_ERROR(scene->OpenWarm(options));
  REFLUX_RETURN_IF_ERROR(scene->AddMode("plain", nullptr, false));
  REFLUX_RETURN_IF_ERROR(scene->AddMode("resident", nullptr, true));
  REFLUX_RETURN_IF_ERROR(scene->AddMode("live", scene->local_.get(), false));
  REFLUX_RETURN_IF_ERROR(scene->AddMode("warm_embedded", scene->embedded_.get(), false));
  REFLUX_RETURN_IF_ERROR(scene->AddMode("warm_grpc", scene->remote_.get(), false));
  return scene;
}

absl::Status StepScene::MakeData(const StepBenchOptions& options) {
  REFLUX_ASSIGN_OR_RETURN(folder_, ScratchFolder::Create(options.scratch));
  const std::string images = root() + "/images";
  REFLUX_RETURN_IF_ERROR(WriteScenes(images,
                                     {.train = kBatches * options.batch,
                                      .val = 1,
                                      .height = kStepBenchHeight,
                                      .width = kStepBenchWidth},
                                     nullptr)
                             .status());
  REFLUX_ASSIGN_OR_RETURN(spec_, StepBenchJob(options, images));
  REFLUX_ASSIGN_OR_RETURN(dataset_, OpenTrainSplit(spec_.data()));
  REFLUX_ASSIGN_OR_RETURN(digests_.images, SampleDigests(*dataset_, root() + "/manifests"));
  REFLUX_ASSIGN_OR_RETURN(digests_.labels, LabelDigests(*dataset_, root() + "/manifests"));
  return absl::OkStatus();
}

absl::Status StepScene::MakeTeacherAndStudent(const StepBenchOptions& options) {
  REFLUX_ASSIGN_OR_RETURN(const Numerics numerics, PlanNumerics(spec_.teachers().at("default")));
  REFLUX_ASSIGN_OR_RETURN(const torch::Device device, PlanDevice(options.device, /*rank=*/0));
  REFLUX_ASSIGN_OR_RETURN(const std::shared_ptr<SegmentationModel> model,
                          UntrainedTeacher(options.teacher_model));
  REFLUX_ASSIGN_OR_RETURN(Teacher teacher, MakeTeacher(model, {}, numerics, device));
  local_ = MakeLocalSource(std::move(teacher),
                           [images = dataset_->root()](const Locator& locator) {
                             return ReadImageFile(images, locator);
                           },
                           {.read_label = PlanLabelReader(spec_.data())});
  REFLUX_ASSIGN_OR_RETURN(teacher_, local_->GetTeacherInfo({}));
  REFLUX_ASSIGN_OR_RETURN(student_, StepStudent::Create(spec_, dataset_->class_names().size(),
                                                        dataset_->ignore_index(), teacher_));
  REFLUX_ASSIGN_OR_RETURN(specs_,
                          PlanTargetSpecs(spec_.targets(), student_->distillation(), "default"));
  return absl::OkStatus();
}

// Through a caching source over the teacher; what it delivers is also kept as `resident`.
absl::Status StepScene::FillCache(const StepBenchOptions& options) {
  REFLUX_ASSIGN_OR_RETURN(
      store_, RocksTargetStore::Open({.directory = root() + "/cache", .min_free_disk_bytes = 0}));
  const auto filling = MakeCachingSource(*store_, *local_);
  REFLUX_ASSIGN_OR_RETURN(const std::unique_ptr<BatchMaker> maker, Maker(filling.get()));
  for (int step = 0; step < options.steps; ++step) {
    REFLUX_ASSIGN_OR_RETURN(Batch batch, maker->Make(step, nullptr));
    resident_.push_back(std::move(batch.targets));
  }
  if (filling->counts().passed_through > 0) {
    return absl::ResourceExhaustedError(
        "the cache could not store every target: is the disk full?");
  }
  return absl::OkStatus();
}

// Two equal copies, since a cache belongs to one process at a time.
absl::Status StepScene::OpenWarm(const StepBenchOptions& options) {
  store_.reset();
  std::error_code error;
  std::filesystem::copy(root() + "/cache", root() + "/served",
                        std::filesystem::copy_options::recursive, error);
  if (error) return absl::InternalError(absl::StrCat("copying the cache: ", error.message()));
  REFLUX_ASSIGN_OR_RETURN(
      store_, RocksTargetStore::Open({.directory = root() + "/cache", .min_free_disk_bytes = 0}));
  absent_ = MakeAbsentTeacher();
  embedded_ = MakeCachingSource(*store_, *absent_);
  REFLUX_ASSIGN_OR_RETURN(cache_process_,
                          StartCacheProcess(options.cache_program, root() + "/served"));
  remote_ = MakeRemoteSource({.endpoint = cache_process_->address()});
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<BatchMaker>> StepScene::Maker(TargetSource* source) const {
  BatchMakerOptions options{.view_seed = spec_.data().view_seed(),
                            .form = FormFor(student_->device()),
                            .fetch_timeout = absl::Minutes(5)};
  REFLUX_ASSIGN_OR_RETURN(options.views, PlanViews(spec_));
  options.stream = {.samples = kBatches * spec_.train().global_batch(),
                    .global_batch = spec_.train().global_batch(),
                    .replay = options.views.replay,
                    .seed = spec_.train().seed()};
  if (source != nullptr) {
    options.teachers = {
        {.name = "default", .source = source, .identity = teacher_.identity, .specs = specs_}};
  }
  return std::make_unique<BatchMaker>(*dataset_, digests_, options);
}

absl::Status StepScene::AddMode(const std::string& name, TargetSource* source, bool resident) {
  REFLUX_ASSIGN_OR_RETURN(std::unique_ptr<BatchMaker> maker, Maker(source));
  modes_.push_back({.name = name,
                    .maker = std::move(maker),
                    .wants_targets = source != nullptr,
                    .wants_resident = resident});
  return absl::OkStatus();
}

absl::StatusOr<Batch> StepScene::MakeBatch(
    const StepMode& mode, int64_t step, const std::shared_ptr<Cancellation>& cancellation) const {
  REFLUX_ASSIGN_OR_RETURN(Batch batch, mode.maker->Make(step, cancellation));
  if (mode.wants_resident) batch.targets = resident_[step];
  if (mode.wants_targets && batch.target_count != targets_per_step()) {
    return absl::InternalError(
        absl::StrCat(mode.name, ": ", batch.target_count, " targets of ", targets_per_step()));
  }
  return batch;
}

absl::StatusOr<int64_t> StepScene::TeacherImages() const {
  REFLUX_ASSIGN_OR_RETURN(const TeacherInfo info, local_->GetTeacherInfo({}));
  return info.images_inferred;
}

}  // namespace reflux
