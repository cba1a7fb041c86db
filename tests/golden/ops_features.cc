#include <stdexcept>

#include "distill/losses/channel_wise_loss.h"
#include "distill/losses/cross_image_loss.h"
#include "distill/losses/feature_losses.h"
#include "distill/losses/prototypes.h"
#include "distill/losses/similarity_losses.h"
#include "tests/golden/ops.h"

namespace reflux::golden {
namespace {

using torch::Tensor;

// The map that the case has, logits or a feature, as tap `map`; the student's is a leaf.
LossInputs MapInputs(const GoldenCase& golden, GoldenOutcome& outcome) {
  const std::string kind = golden.HasInput("student_logits") ? "logits" : "feat";
  LossInputs inputs;
  inputs.student["map"] = outcome.AddLeaf("student_" + kind, golden.Input("student_" + kind));
  inputs.teacher["map"] = golden.Input("teacher_" + kind);
  return inputs;
}

TapLossOptions TapOf(const LossInputs& inputs) {
  return {.tap = "map",
          .student_channels = inputs.student.at("map").size(1),
          .teacher_channels = inputs.teacher.at("map").size(1)};
}

// The loss of the case, its parameters loaded and registered as leaves.
void Finish(Loss& loss, const LossInputs& inputs, const GoldenCase& golden,
            GoldenOutcome& outcome) {
  loss.to(torch::kFloat64);
  golden.LoadWeights(loss);
  for (const auto& item : loss.named_parameters()) outcome.leaves[item.key()] = item.value();
  outcome.outputs["loss"] = loss.Finish(loss.Local(inputs));
}

// The loss L of the case, with the options that `options_of(inputs)` gives.
template <typename L, typename OptionsOf>
GoldenOutcome Computed(const GoldenCase& golden, const OptionsOf& options_of) {
  GoldenOutcome outcome;
  const LossInputs inputs = MapInputs(golden, outcome);
  L loss(options_of(inputs));
  Finish(loss, inputs, golden, outcome);
  return outcome;
}

void RequireCeilMode(const GoldenCase& golden) {
  if (!golden.Param<bool>("ceil_mode")) throw std::runtime_error("no pool without ceil mode");
}

GoldenOutcome ChannelWise(const GoldenCase& golden) {
  ChannelWiseOptions options{.temperature = golden.Param<double>("temperature"),
                             .temperature_squared = golden.Param<bool>("temperature_squared")};
  options.norm = OrThrow(ParseCwdNorm(golden.Param<std::string>("norm")));
  const bool spatial = options.norm == ChannelWiseOptions::Norm::kSpatial;
  const auto divide_by = golden.Param<std::string>("divide_by");
  if (divide_by != (spatial ? "positions" : "batch_times_student_channels")) {
    throw std::runtime_error("unknown divide_by " + divide_by);
  }
  options.divide_by = ChannelWiseOptions::DivideBy::kStudentChannels;
  return Computed<ChannelWiseLoss>(golden, [&](const LossInputs& inputs) {
    options.tap = TapOf(inputs);
    return options;
  });
}

GoldenOutcome Pairwise(const GoldenCase& golden) {
  RequireCeilMode(golden);
  return Computed<PairwiseLoss>(golden, [&](const LossInputs& inputs) {
    return PairwiseOptions{.tap = TapOf(inputs), .pool = golden.Param<int64_t>("pool")};
  });
}

// AICSD's pair-wise loss: the same with a window that is a share of the map.
GoldenOutcome PairwiseByShare(const GoldenCase& golden) {
  const double epsilon = golden.Param<double>("norm_epsilon");
  if (epsilon != 1e-8) throw std::runtime_error("unknown norm_epsilon " + std::to_string(epsilon));
  return Computed<PairwiseLoss>(golden, [&](const LossInputs& inputs) {
    return PairwiseOptions{.tap = TapOf(inputs),
                           .pool_fraction = golden.Param<double>("window_fraction"),
                           .constant_norm = golden.Param<bool>("norm_is_constant")};
  });
}

GoldenOutcome CrossImage(const GoldenCase& golden) {
  return Computed<CrossImageLoss>(golden, [&](const LossInputs& inputs) {
    return CrossImageOptions{.tap = TapOf(inputs),
                             .temperature = golden.Param<double>("temperature")};
  });
}

GoldenOutcome CategorySimilarity(const GoldenCase& golden) {
  RequireCeilMode(golden);
  return Computed<CategorySimilarityLoss>(golden, [&](const LossInputs& inputs) {
    return CategorySimilarityOptions{.tap = TapOf(inputs),
                                     .pool = golden.Param<int64_t>("pool"),
                                     .temperature = golden.Param<double>("temperature")};
  });
}

GoldenOutcome AttentionTransfer(const GoldenCase& golden) {
  return Computed<AttentionTransferLoss>(golden, [&](const LossInputs& inputs) {
    return AttentionTransferOptions{.tap = TapOf(inputs), .power = golden.Param<int64_t>("power")};
  });
}

GoldenOutcome FitNet(const GoldenCase& golden) { return Computed<FitNetLoss>(golden, TapOf); }

GoldenOutcome Ifvd(const GoldenCase& golden) {
  GoldenOutcome outcome;
  LossInputs inputs = MapInputs(golden, outcome);
  inputs.labels = golden.Input("labels");
  inputs.ignore_index = golden.Param<int64_t>("ignore_index");
  IfvdLoss loss({.tap = TapOf(inputs),
                 .num_classes = golden.Param<int64_t>("num_classes"),
                 .mean_epsilon = golden.Param<double>("mean_epsilon"),
                 .cosine_epsilon = golden.Param<double>("cosine_epsilon")});
  Finish(loss, inputs, golden, outcome);
  const Tensor& map = inputs.teacher.at("map");
  outcome.outputs["labels_down"] = DownsampleLabels(inputs.labels, map.size(2), map.size(3));
  return outcome;
}

}  // namespace

void AddFeatureOps(GoldenOps& ops) {
  ops["aicsd_pair"] = {PairwiseByShare};
  ops["attention_transfer"] = {AttentionTransfer};
  ops["cirkd_minibatch"] = {CrossImage};
  ops["csd"] = {CategorySimilarity};
  ops["cwd"] = {ChannelWise};
  ops["fitnet"] = {FitNet};
  ops["ifvd"] = {Ifvd};
  ops["skd_pairwise"] = {Pairwise};
}

}  // namespace reflux::golden
