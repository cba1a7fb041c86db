#include "tests/unit/job_plan/loss_fingerprint.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <map>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/spec/job_file.h"
#include "distill/models/image_classifier.h"
#include "job_plan/loss_plan.h"

namespace reflux {
namespace {

using torch::Tensor;

constexpr int32_t kClasses = 3, kImages = 2;
constexpr int64_t kSide = 16;      // of a map: Af-DCD pools by 4 and takes patches of 4
constexpr int64_t kImageSide = 8;  // of a classifier's first map

// Any loss can read any tap.
std::map<std::string, int32_t> Widths(int32_t width) {
  std::map<std::string, int32_t> widths = {
      {"aspp", width}, {"aux", kClasses}, {"logits", kClasses}};
  for (size_t stage = 0; stage < 4; ++stage) {
    widths[StageTap(stage)] = widths[StageTap(stage, /*before_relu=*/true)] = width;
  }
  return widths;
}
const std::map<std::string, int32_t> kStudentWidths = Widths(4), kTeacherWidths = Widths(16);

// What a plan asks of a student: the names and widths of its taps.
class ListedTaps : public SegmentationModel {
 public:
  TapOutputs Forward(const Tensor&, const std::vector<std::string>&) override { return {}; }
  std::vector<TapInfo> taps() const override {
    std::vector<TapInfo> taps;
    for (const auto& [name, channels] : kStudentWidths) taps.push_back({name, channels, 8});
    return taps;
  }
  int64_t num_classes() const override { return kClasses; }
  std::string architecture() const override { return "listed"; }
};

TeacherInfo Teacher() {
  TeacherInfo info{.num_classes = kClasses};
  for (const auto& [name, channels] : kTeacherWidths) {
    info.taps.push_back({.name = name, .channels = channels, .stride = 8});
  }
  return info;
}

bool IsOfImages(const std::string& loss) { return loss == "frskd_classifier" || loss == "sla"; }

// The term of `loss`, a field of LossesSpec or "own.NAME", with `options` in YAML.
LossTerm Planned(const std::string& loss, const std::string& options) {
  const std::string block = absl::StartsWith(loss, "own.")
                                ? absl::StrCat("own: {", loss.substr(4), ": {", options, "}}")
                                : absl::StrCat(loss, ": {", options, "}");
  const std::string text = absl::StrFormat(R"(
name: options
data: {format: %s, root: /d}
teachers: {default: {checkpoint: /t}, other: {checkpoint: /o}}
student: {model: %s}
losses: {%s%s}
train: {steps: 8, seed: 3}
)",
                                           IsOfImages(loss) ? "cifar100" : "camvid",
                                           IsOfImages(loss) ? "wrn16x2" : "deeplabv3_resnet18",
                                           loss == "ce" ? "" : "ce: ~, ", block);
  const v1::JobSpec spec = ParseJob({.text = text, .folder = "/"}).value();
  const TeacherInfos teachers = {{"default", Teacher()}, {"other", Teacher()}};
  return PlanLosses(spec, ListedTaps(), teachers).value()->terms().at(0);
}

// Segmentation: maps of one size. A classifier: each stage has half the sides of the one before,
// the logits one position.
int64_t SideOf(const std::string& tap, bool of_images) {
  if (!of_images) return kSide;
  return tap[0] == 'c' ? kImageSide >> (tap[1] - '1') : 1;
}

std::map<std::string, Tensor> RandomMaps(const std::map<std::string, int32_t>& widths,
                                         int64_t images, bool of_images) {
  std::map<std::string, Tensor> maps;
  for (const auto& [tap, channels] : widths) {
    const int64_t side = SideOf(tap, of_images);
    maps[tap] = torch::randn({images, channels, side, side},
                             torch::TensorOptions(torch::kFloat64).requires_grad(true));
  }
  return maps;
}

// Of the last but one step of the run, when FRSKD's warm-up is over and its ramp is not.
LossInputs Batch(bool of_images) {
  torch::manual_seed(1);
  LossInputs inputs{.student = RandomMaps(kStudentWidths, kImages, of_images),
                    .teacher = RandomMaps(kTeacherWidths, kImages, of_images),
                    .step = 6,
                    .total_steps = 8};
  const int64_t side = of_images ? 1 : kSide;
  inputs.labels = torch::randint(0, kClasses, {kImages, side, side}, torch::kInt64);
  inputs.rotated = RandomMaps(kStudentWidths, 4 * kImages, of_images);
  return inputs;
}

// Value and gradients of two steps: a memory is empty at the first. In double and printed to fewer
// digits, so that rounding is no difference.
std::string Values(Loss& loss, bool of_images) {
  const LossInputs inputs = Batch(of_images);
  std::string print;
  for (int step = 0; step < 2; ++step) {
    const Tensor value = loss.Finish(loss.Local(inputs));
    value.backward();
    absl::StrAppendFormat(&print, "%.9g\n", value.item<double>());
  }
  for (const std::string& tap : loss.student_taps()) {
    const Tensor& gradient = inputs.student.at(tap).grad();
    if (gradient.defined()) absl::StrAppendFormat(&print, "%.9g ", gradient.norm().item<double>());
  }
  return print;
}

template <typename Named>
std::string Sizes(const Named& tensors) {
  std::string print;
  for (const auto& item : tensors) {
    absl::StrAppend(&print, item.key(), " ", absl::StrJoin(item.value().sizes(), "x"), "\n");
  }
  return print;
}

// Norms as after some training: overhaul's margins follow them.
void MoveParameters(Loss& loss) {
  const torch::NoGradGuard no_gradients;
  for (const Tensor& parameter : loss.parameters()) parameter.add_(0.1);
}

}  // namespace

std::string Fingerprint(const std::string& name, const std::string& options) {
  const LossTerm term = Planned(name, options);
  Loss& loss = *term.loss;
  loss.to(torch::kFloat64);
  MoveParameters(loss);
  return absl::StrJoin(
      {absl::StrCat(term.weight, " ", static_cast<int>(term.schedule), " ", term.teacher, " ",
                    term.clip),
       absl::StrJoin(loss.student_taps(), ","), absl::StrJoin(loss.teacher_taps(), ","),
       Sizes(loss.named_parameters()), Sizes(loss.named_buffers()), Values(loss, IsOfImages(name))},
      "\n");
}

}  // namespace reflux
