#include "bench/loss_cases.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "bench/module_loss_cases.h"
#include "distill/losses/channel_wise_loss.h"
#include "distill/losses/cross_image_loss.h"
#include "distill/losses/dense_contrast.h"
#include "distill/losses/feature_losses.h"
#include "distill/losses/i2ckd_loss.h"
#include "distill/losses/icsd_loss.h"
#include "distill/losses/pixel_kd_loss.h"
#include "distill/losses/similarity_losses.h"

namespace reflux {
namespace {

using torch::Tensor;

TapLossOptions Tap(const std::string& tap, const NaiveInputs& inputs) {
  return {.tap = tap,
          .student_channels = inputs.student.size(1),
          .teacher_channels = inputs.teacher.size(1)};
}

// Af-DCD's contrast alone.
std::vector<LossCase> ContrastCases(const NaiveInputs& inputs) {
  using Negatives = DenseContrastOptions::Negatives;
  std::vector<LossCase> cases;
  const auto add = [&](const std::string& name, Negatives negatives) {
    cases.push_back({name, inputs, [negatives](const NaiveInputs& in) {
                       return DenseContrastSum(in.student, in.teacher, {.negatives = negatives}) /
                              static_cast<double>(in.student.size(0));
                     }});
  };
  add("contrast", Negatives::kOmni);
  add("contrast_spatial", Negatives::kSpatialPatch);
  add("contrast_channel", Negatives::kChannel);
  return cases;
}

I2ckdOptions I2ckdOf(const NaiveInputs& inputs) {
  I2ckdOptions options{.num_classes = inputs.num_classes};
  options.student_channels = inputs.student.size(1);
  options.teacher_channels = inputs.teacher.size(1);
  return options;
}

}  // namespace

absl::Status LossBenchOptions::Validate() const {
  const auto check = [](const char* name, int64_t value, int64_t low, int64_t high) {
    if (value >= low && value <= high) return absl::OkStatus();
    return absl::InvalidArgumentError(
        absl::StrCat("--", name, " ", value, ": expected ", low, " to ", high));
  };
  for (const absl::Status& status :
       {check("batch", batch, 1, 256), check("height", height, 16, 1024),
        check("width", width, 16, 1024), check("classes", classes, 2, 1024),
        check("rounds", rounds, 1, 1000)}) {
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

NaiveInputs RandomInputs(const LossBenchOptions& options, int64_t student_channels,
                         int64_t teacher_channels) {
  const auto map = [&](int64_t channels) {
    return torch::randn({options.batch, channels, options.height, options.width});
  };
  NaiveInputs inputs;
  inputs.student = map(student_channels);
  inputs.teacher = map(teacher_channels);
  inputs.labels =
      torch::randint(0, options.classes, {options.batch, options.height, options.width});
  inputs.num_classes = options.classes;
  return inputs;
}

LossForm ByLibrary(const std::string& tap, std::shared_ptr<Loss> loss) {
  return [tap, loss = std::move(loss)](const NaiveInputs& inputs) {
    LossInputs of_loss{.student = inputs.maps, .labels = inputs.labels};
    of_loss.student[tap] = inputs.student;
    if (inputs.teacher.defined()) of_loss.teacher[tap] = inputs.teacher;
    return loss->Finish(loss->Local(of_loss));
  };
}

namespace {

std::vector<LossCase> AllCases(const LossBenchOptions& options) {
  torch::manual_seed(options.seed);
  const auto inputs = [&](int64_t channels) { return RandomInputs(options, channels, channels); };
  const NaiveInputs logits = inputs(options.classes), features = inputs(options.feature_channels),
                    deep = inputs(options.contrast_channels);
  std::vector<LossCase> cases;
  const auto add = [&](const std::string& name, const NaiveInputs& in, const std::string& tap,
                       std::shared_ptr<Loss> loss) {
    cases.push_back({name, in, ByLibrary(tap, std::move(loss))});
  };
  const TapLossOptions of_logits = Tap("logits", logits), aspp = Tap("aspp", features);
  add("kd", logits, "logits", std::make_shared<PixelKdLoss>(PixelKdOptions()));
  add("icsd", logits, "logits", std::make_shared<IcsdLoss>(IcsdOptions()));
  add("cwd", logits, "logits",
      std::make_shared<ChannelWiseLoss>(ChannelWiseOptions{.tap = of_logits}));
  add("csd", logits, "logits",
      std::make_shared<CategorySimilarityLoss>(CategorySimilarityOptions{.tap = of_logits}));
  add("i2ckd", features, "aspp", std::make_shared<I2ckdLoss>(I2ckdOf(features)));
  add("skd", features, "aspp", std::make_shared<PairwiseLoss>(PairwiseOptions{.tap = aspp}));
  add("at", features, "aspp",
      std::make_shared<AttentionTransferLoss>(AttentionTransferOptions{.tap = aspp}));
  add("fitnet", features, "aspp", std::make_shared<FitNetLoss>(aspp));
  add("ifvd", features, "aspp",
      std::make_shared<IfvdLoss>(IfvdOptions{.tap = aspp, .num_classes = options.classes}));
  add("cirkd", features, "aspp",
      std::make_shared<CrossImageLoss>(CrossImageOptions{.tap = aspp, .pool = 2}));
  for (LossCase& one : ContrastCases(deep)) cases.push_back(std::move(one));
  for (LossCase& one : MakeModuleCases(options, features)) cases.push_back(std::move(one));
  return cases;
}

}  // namespace

absl::StatusOr<std::vector<LossCase>> MakeLossCases(const LossBenchOptions& options) {
  std::vector<LossCase> all = AllCases(options);
  if (options.losses.empty()) return all;
  std::vector<LossCase> chosen;
  for (const std::string& name : options.losses) {
    const auto found =
        std::find_if(all.begin(), all.end(), [&](const LossCase& one) { return one.name == name; });
    if (found == all.end())
      return absl::InvalidArgumentError(absl::StrCat("--losses: there is no '", name, "'"));
    chosen.push_back(*found);
  }
  return chosen;
}

}  // namespace reflux
