#include <stdexcept>

#include "distill/losses/afdcd_loss.h"
#include "tests/golden/ops.h"

namespace reflux::golden {
namespace {

using torch::Tensor;

DenseContrastOptions ContrastOptionsOf(const GoldenCase& golden) {
  DenseContrastOptions options;
  options.negatives = OrThrow(ParseContrastNegatives(golden.Param<std::string>("negatives")));
  options.groups = golden.Param<int64_t>("groups");
  options.temperature = golden.Param<double>("temperature");
  options.pool = golden.Param<int64_t>("pool");
  if (!golden.params.at("crop").is_null()) {
    options.crop_height = golden.params.at("crop").at(0);
    options.crop_width = golden.params.at("crop").at(1);
  }
  options.patch_height = golden.params.at("patch").at(0);
  options.patch_width = golden.params.at("patch").at(1);
  return options;
}

AfdcdOptions AfdcdOptionsOf(const GoldenCase& golden) {
  AfdcdOptions options;
  options.contrast = ContrastOptionsOf(golden);
  options.projector = OrThrow(ParseAfdcdProjector(golden.Param<std::string>("projector")));
  options.student_channels = golden.Param<int64_t>("student_channels");
  options.teacher_channels = golden.Param<int64_t>("teacher_channels");
  if (!golden.params.at("weight_fd").is_null()) {
    options.feature_weight = golden.Param<double>("weight_fd");
    options.contrast_weight = golden.Param<double>("weight_ctr");
  }
  const absl::Status valid = options.Validate();
  if (!valid.ok()) throw std::runtime_error(valid.ToString());
  return options;
}

Tensor MaskOf(const GoldenCase& golden, const Tensor& map) {
  const auto kind = golden.Param<std::string>("mask");
  if (kind == "centre_block") return CentreMask(map.size(0), map.size(2), map.size(3));
  if (kind != "uniform") throw std::runtime_error("unknown mask " + kind);
  return ThresholdMask(golden.Input("mask_uniform"), golden.Param<double>("mask_ratio"));
}

void AddContrastStages(const Tensor& projected, const Tensor& teacher,
                       const DenseContrastOptions& options, GoldenOutcome& outcome) {
  auto& out = outcome.outputs;
  out["pooled_student"] = ContrastMap(projected, options);
  out["pooled_teacher"] = ContrastMap(teacher, options);
  out["groups_student_first"] = ContrastCells(out["pooled_student"], options)[0];
  out["groups_teacher_first"] = ContrastCells(out["pooled_teacher"], options)[0];
  out["distance_first"] = torch::cdist(out["groups_student_first"], out["groups_teacher_first"], 1);
}

GoldenOutcome Afdcd(const GoldenCase& golden) {
  GoldenOutcome outcome;
  const AfdcdOptions options = AfdcdOptionsOf(golden);
  AfdcdLoss loss(options);
  loss.to(torch::kFloat64);
  golden.LoadWeights(loss);
  for (const auto& item : loss.named_parameters()) outcome.leaves[item.key()] = item.value();
  const Tensor student = outcome.AddLeaf("student_feat", golden.Input("student_feat"));
  const Tensor teacher = golden.Input("teacher_feat");
  const Tensor mask = MaskOf(golden, teacher);
  const AfdcdLoss::Summands parts = loss.PartsOf(student, teacher, mask);
  const double images = static_cast<double>(teacher.size(0));
  auto& out = outcome.outputs;
  out["mask"] = mask;
  out["mask_zeros"] = mask.eq(0).sum();
  out["new_feat"] = parts.projected;
  out["fd_loss"] = parts.feature / images;
  out["ctr_loss"] = parts.contrast / images;
  out["weighted_total"] =
      options.feature_weight * out["fd_loss"] + options.contrast_weight * out["ctr_loss"];
  AddContrastStages(parts.projected, teacher, options.contrast, outcome);
  return outcome;
}

GoldenOutcome AfdcdVariant(const GoldenCase& golden) {
  GoldenOutcome outcome;
  const Tensor projected = outcome.AddLeaf("new_feat", golden.Input("new_feat"));
  const Tensor teacher = golden.Input("teacher_feat");
  outcome.outputs["loss"] = DenseContrastSum(projected, teacher, ContrastOptionsOf(golden)) /
                            static_cast<double>(teacher.size(0));
  return outcome;
}

}  // namespace

void AddAfdcdOps(GoldenOps& ops) {
  ops["afdcd"] = {Afdcd};
  ops["afdcd_variant"] = {AfdcdVariant};
}

}  // namespace reflux::golden
