#include "job_plan/teacher_plan.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "common/base/choose.h"
#include "common/base/status_macros.h"
#include "distill/checkpoint/checkpoint_layout.h"
#include "distill/checkpoint/model_checkpoint.h"
#include "distill/checkpoint/scripted_model.h"
#include "distill/evaluation/evaluate.h"
#include "job_plan/data_plan.h"
#include "job_plan/device_plan.h"
#include "job_plan/evaluation_plan.h"

namespace reflux {
namespace {

constexpr int64_t kCheckedImages = 100;

absl::StatusOr<ComputeDType> ParseCompute(const std::string& name) {
  return Choose<ComputeDType>("teacher.compute", name,
                              {{"fp32", ComputeDType::kFp32},
                               {"bf16", ComputeDType::kBf16},
                               {"fp64", ComputeDType::kFp64}});
}

int64_t CheckedImages(const Dataset& dataset) {
  return std::min<int64_t>(kCheckedImages, static_cast<int64_t>(dataset.samples().size()));
}

// What a teacher is measured on.
struct Check {
  const Teacher& teacher;
  const Dataset& dataset;
  const v1::DataSpec& data;
  const Cancellation* cancellation;
};

// A line every few seconds, for people who wait: `total` images can take minutes.
std::function<void(int64_t)> ProgressLines(int64_t total) {
  return [total, last = absl::Now()](int64_t done) mutable {
    if (absl::Now() - last < absl::Seconds(5)) return;
    last = absl::Now();
    spdlog::info("teacher: evaluated on {} of {} images", done, total);
  };
}

// mIoU, of a classifier top-1 accuracy, in percent, as if the weights belonged to `preprocessing`.
absl::StatusOr<double> ScoreOf(const Check& check, const Preprocessing& preprocessing) {
  const Teacher& teacher = check.teacher;
  REFLUX_ASSIGN_OR_RETURN(EvaluationPlan plan,
                          PlanEvaluation(check.data, teacher.model->align_corners()));
  plan.evaluation.batch = teacher.identity.numerics.batch;
  plan.evaluation.end = kCheckedImages;
  const auto predict = [&](const torch::Tensor& images) -> absl::StatusOr<torch::Tensor> {
    REFLUX_ASSIGN_OR_RETURN(TapOutputs outputs, RunTeacher(teacher, images, {"logits"}));
    return outputs.at("logits").to(torch::kCPU);
  };
  REFLUX_ASSIGN_OR_RETURN(
      const ConfusionMatrix matrix,
      Evaluate(check.dataset, preprocessing, teacher.model->num_classes(), plan.evaluation,
               WithInference(predict, plan.inference), check.cancellation,
               ProgressLines(CheckedImages(check.dataset))));
  return 100 * (check.dataset.task() == Task::kClassification ? matrix.PixelAccuracy()
                                                              : matrix.MeanIou());
}

struct Trial {
  const CheckpointLayout* layout;
  double score;
};

// The layouts that prepare images otherwise than the teacher was told to, one of each
// preprocessing: first the one whose names the network has.
std::vector<const CheckpointLayout*> OtherLayouts(const Teacher& teacher) {
  std::vector<const CheckpointLayout*> candidates = {
      RecogniseLayout(teacher.model->named_parameters().keys())};
  for (const CheckpointLayout& layout : CheckpointLayouts()) candidates.push_back(&layout);
  std::vector<const CheckpointLayout*> others;
  for (const CheckpointLayout* const candidate : candidates) {
    if (candidate == nullptr ||
        SamePreprocessing(candidate->preprocessing, teacher.identity.preprocessing) ||
        std::any_of(others.begin(), others.end(), [&](const CheckpointLayout* other) {
          return SamePreprocessing(candidate->preprocessing, other->preprocessing);
        })) {
      continue;
    }
    others.push_back(candidate);
  }
  return others;
}

absl::StatusOr<std::vector<Trial>> TryLayouts(const Check& check) {
  std::vector<Trial> trials;
  for (const CheckpointLayout* const layout : OtherLayouts(check.teacher)) {
    REFLUX_ASSIGN_OR_RETURN(const double score, ScoreOf(check, layout->preprocessing));
    trials.push_back({layout, score});
  }
  return trials;
}

// What to do about a teacher that has `score` and needs `floor`.
std::string Advice(const std::vector<Trial>& trials, double score, double floor,
                   const v1::TeacherSpec& spec, const Preprocessing& used) {
  const auto best =
      std::max_element(trials.begin(), trials.end(),
                       [](const Trial& a, const Trial& b) { return a.score < b.score; });
  if (best != trials.end() && best->score > score) {
    const std::string gives =
        absl::StrFormat("Layout `%s` (%s) gives %.1f", best->layout->name,
                        DescribePreprocessing(best->layout->preprocessing), best->score);
    if (best->score >= floor && spec.layout() == kTorchScript) {
      return absl::StrCat(gives,
                          ": save that preprocessing with the module (docs/checkpoints.md).");
    }
    if (best->score >= floor) return absl::StrCat(gives, ": set teacher.layout.");
    return absl::StrCat(gives, ", better but not enough. Is the checkpoint (", spec.checkpoint(),
                        ") trained for this data?");
  }
  return absl::StrCat("No other layout's preprocessing does better than ",
                      DescribePreprocessing(used), ". Is the checkpoint (", spec.checkpoint(),
                      ") trained for this data?");
}

}  // namespace

absl::StatusOr<Numerics> PlanNumerics(const v1::TeacherSpec& teacher) {
  Numerics numerics{.threads = teacher.threads(), .batch = teacher.batch()};
  REFLUX_ASSIGN_OR_RETURN(
      numerics.mode,
      Choose<NumericsMode>("teacher.numerics", teacher.numerics(),
                           {{"exact", NumericsMode::kExact}, {"fast", NumericsMode::kFast}}));
  REFLUX_ASSIGN_OR_RETURN(numerics.compute, ParseCompute(teacher.compute()));
  if (numerics.threads < 1 || numerics.threads > 1024 || numerics.batch < 1 ||
      numerics.batch > 1024) {
    return absl::InvalidArgumentError("teacher.threads and teacher.batch must be in 1..1024");
  }
  return numerics;
}

absl::StatusOr<std::vector<int64_t>> PlanClassOrder(const v1::TeacherSpec& teacher,
                                                    const std::vector<std::string>& classes) {
  std::vector<int64_t> order(classes.size(), -1);
  if (teacher.classes().empty()) return std::vector<int64_t>();
  for (int channel = 0; channel < teacher.classes_size(); ++channel) {
    const std::string& name = teacher.classes(channel);
    size_t index = std::find(classes.begin(), classes.end(), name) - classes.begin();
    if (index == classes.size() && !absl::SimpleAtoi(name, &index)) index = classes.size();
    if (index >= classes.size()) {
      return absl::InvalidArgumentError(
          absl::StrCat("teacher.classes: `", name,
                       "` is no class of the data set; it has: ", absl::StrJoin(classes, ", ")));
    }
    if (order[index] >= 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("teacher.classes: ", classes[index], " stands there twice"));
    }
    order[index] = channel;
  }
  const auto missing = std::find(order.begin(), order.end(), -1);
  if (missing == order.end()) return order;
  return absl::InvalidArgumentError(
      absl::StrCat("teacher.classes: ", classes[missing - order.begin()], " is missing"));
}

absl::StatusOr<Teacher> LoadTeacher(const v1::TeacherSpec& spec, const v1::DataSpec& data) {
  REFLUX_ASSIGN_OR_RETURN(const Numerics numerics, PlanNumerics(spec));
  REFLUX_ASSIGN_OR_RETURN(const torch::Device device, PlanDevice(spec.device()));
  WarnOfSlowBf16(device, numerics.compute == ComputeDType::kBf16, "teacher.compute");
  std::vector<int64_t> class_order;
  if (!spec.classes().empty()) {
    REFLUX_ASSIGN_OR_RETURN(const std::unique_ptr<Dataset> dataset, OpenValSplit(data));
    REFLUX_ASSIGN_OR_RETURN(class_order, PlanClassOrder(spec, dataset->class_names()));
  }
  if (spec.layout() == kTorchScript) {
    REFLUX_ASSIGN_OR_RETURN(ScriptedCheckpoint scripted, LoadScriptedModel(spec.checkpoint()));
    return MakeTeacher(std::move(scripted.model), scripted.preprocessing, numerics, device,
                       std::move(class_order));
  }
  REFLUX_ASSIGN_OR_RETURN(ModelCheckpoint checkpoint,
                          LoadModelCheckpoint(spec.checkpoint(), spec.layout()));
  return MakeTeacher(std::move(checkpoint.model), checkpoint.info.preprocessing, numerics, device,
                     std::move(class_order));
}

absl::StatusOr<double> CheckTeacher(const Teacher& teacher, const v1::TeacherSpec& spec,
                                    const v1::DataSpec& data, const Cancellation* cancellation) {
  REFLUX_ASSIGN_OR_RETURN(const std::unique_ptr<Dataset> dataset, OpenValSplit(data));
  if (teacher.model->num_classes() != static_cast<int64_t>(dataset->class_names().size())) {
    return absl::InvalidArgumentError(absl::StrCat(
        "teacher: ", spec.checkpoint(), " has ", teacher.model->num_classes(),
        " classes, the data set (", data.format(), ") ", dataset->class_names().size()));
  }
  const Check check{teacher, *dataset, data, cancellation};
  const std::string measure = dataset->task() == Task::kClassification ? "top-1 accuracy" : "mIoU";
  REFLUX_ASSIGN_OR_RETURN(const double score, ScoreOf(check, teacher.identity.preprocessing));
  // Guessing the commonest class gives at most one class in `num_classes` its full IoU.
  const double chance = 25.0 / static_cast<double>(teacher.model->num_classes());
  const double floor = spec.has_expect_miou() ? spec.expect_miou() : chance;
  if (score >= floor) return score;
  spdlog::warn("teacher: {:.1f} % {}; trying the preprocessing of other layouts", score, measure);
  REFLUX_ASSIGN_OR_RETURN(const std::vector<Trial> trials, TryLayouts(check));
  return absl::FailedPreconditionError(absl::StrFormat(
      "teacher: %.1f %% %s on %d val images, %s %.4g. %s", score, measure, CheckedImages(*dataset),
      spec.has_expect_miou() ? "expected" : "which is below the floor of", floor,
      Advice(trials, score, floor, spec, teacher.identity.preprocessing)));
}

}  // namespace reflux
