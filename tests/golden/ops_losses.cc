#include <stdexcept>

#include "distill/losses/cross_entropy_loss.h"
#include "distill/losses/i2ckd_loss.h"
#include "distill/losses/icsd_loss.h"
#include "distill/losses/loss_schedule.h"
#include "distill/losses/pixel_kd_loss.h"
#include "tests/golden/ops.h"

namespace reflux::golden {
namespace {

using torch::Tensor;

Tensor ValueOf(Loss& loss, const LossInputs& inputs) { return loss.Finish(loss.Local(inputs)); }

// The logits of both networks (the student's a leaf) and the labels, where the case has them.
LossInputs LogitInputs(const GoldenCase& golden, GoldenOutcome& outcome) {
  LossInputs inputs;
  inputs.student["logits"] = outcome.AddLeaf("student_logits", golden.Input("student_logits"));
  if (golden.HasInput("teacher_logits")) {
    inputs.teacher["logits"] = golden.Input("teacher_logits");
  }
  if (golden.HasInput("labels")) {
    inputs.labels = golden.Input("labels");
    inputs.ignore_index = golden.Param<int64_t>("ignore_index");
  }
  return inputs;
}

PixelKdOptions::DivideBy ParseDivideBy(const std::string& name) {
  if (name == "positions") return PixelKdOptions::DivideBy::kPositions;
  if (name == "elements") return PixelKdOptions::DivideBy::kElements;
  if (name == "batch") return PixelKdOptions::DivideBy::kBatch;
  throw std::runtime_error("unknown divide_by " + name);
}

IcsdOptions IcsdOptionsOf(const GoldenCase& golden) {
  IcsdOptions options;
  options.form = OrThrow(ParseIcsdForm(golden.Param<std::string>("form")));
  options.temperature = golden.Param<double>("temperature");
  return options;
}

GoldenOutcome Icsd(const GoldenCase& golden) {
  GoldenOutcome outcome;
  const LossInputs inputs = LogitInputs(golden, outcome);
  const IcsdOptions options = IcsdOptionsOf(golden);
  IcsdLoss loss(options);
  outcome.outputs["loss"] = ValueOf(loss, inputs);
  const auto matrix = [&](const Tensor& logits) {
    const Tensor each = SimilarityMatrices(logits, options);
    return options.form == IcsdOptions::Form::kPerImage ? each : each.mean(0);
  };
  outcome.outputs["matrix_student"] = matrix(inputs.student.at("logits"));
  outcome.outputs["matrix_teacher"] = matrix(inputs.teacher.at("logits"));
  return outcome;
}

GoldenOutcome IcsdGram(const GoldenCase& golden) {
  GoldenOutcome outcome;
  IcsdLoss loss({.form = IcsdOptions::Form::kGram});
  outcome.outputs["loss"] = ValueOf(loss, LogitInputs(golden, outcome));
  return outcome;
}

GoldenOutcome PixelKd(const GoldenCase& golden) {
  GoldenOutcome outcome;
  PixelKdLoss loss({.temperature = golden.Param<double>("temperature"),
                    .temperature_squared = golden.Param<bool>("temperature_squared"),
                    .divide_by = ParseDivideBy(golden.Param<std::string>("divide_by"))});
  outcome.outputs["loss"] = ValueOf(loss, LogitInputs(golden, outcome));
  return outcome;
}

GoldenOutcome CrossEntropyWithAux(const GoldenCase& golden) {
  GoldenOutcome outcome;
  LossInputs inputs = LogitInputs(golden, outcome);
  inputs.student["aux"] = outcome.AddLeaf("aux_logits", golden.Input("aux_logits"));
  const bool align = golden.Param<bool>("align_corners");
  CrossEntropyLoss total({golden.Param<double>("aux_weight"), align}), alone({0, align});
  outcome.outputs["total"] = ValueOf(total, inputs);
  outcome.outputs["main"] = ValueOf(alone, inputs);
  LossInputs aux = inputs;
  aux.student["logits"] = inputs.student.at("aux");
  outcome.outputs["aux"] = ValueOf(alone, aux);
  outcome.outputs["resized_first"] =
      ResizeToLabels(inputs.student.at("logits"), inputs.labels, align).slice(0, 0, 1);
  return outcome;
}

GoldenOutcome AlwTotal(const GoldenCase& golden) {
  GoldenOutcome outcome;
  const LossInputs inputs = LogitInputs(golden, outcome);
  CrossEntropyLoss cross_entropy({.aux_weight = 0});
  PixelKdLoss kd({.temperature = golden.Param<double>("temperature"),
                  .temperature_squared = golden.Param<bool>("kd_temperature_squared"),
                  .divide_by = ParseDivideBy(golden.Param<std::string>("kd_divide_by"))});
  IcsdLoss icsd(IcsdOptionsOf(golden));
  const Tensor mean = ValueOf(cross_entropy, inputs);
  const double images = golden.Param<bool>("ce_divided_by_batch") ? inputs.labels.size(0) : 1;
  const bool adaptive = golden.Param<bool>("adaptive");
  const auto schedule = adaptive ? LossSchedule::kAlwPublished : LossSchedule::kConstant;
  const auto factor = [&](LossKind kind) {
    return adaptive ? WeightFactor(schedule, kind, golden.Param<int64_t>("epoch"),
                                   golden.Param<int64_t>("total_epochs"))
                    : WeightFactor(schedule, kind, 0, 1);
  };
  auto& out = outcome.outputs;
  out["ce_mean"] = mean;
  out["ce"] = mean / images;
  out["kd_weighted"] = golden.Param<double>("weight_kd") * ValueOf(kd, inputs);
  out["icsd_weighted"] = golden.Param<double>("weight_icsd") * ValueOf(icsd, inputs);
  out["total"] = factor(LossKind::kTask) * out["ce"] +
                 factor(LossKind::kRelation) * out["icsd_weighted"] +
                 factor(LossKind::kResponse) * out["kd_weighted"];
  return outcome;
}

I2ckdOptions I2ckdOptionsOf(const GoldenCase& golden, const LossInputs& inputs) {
  I2ckdOptions options;
  options.num_classes = golden.Param<int64_t>("num_classes");
  options.triplet.margin = golden.Param<double>("margin");
  options.triplet.distance = OrThrow(ParsePrototypeDistance(golden.Param<std::string>("distance")));
  options.triplet.negatives =
      OrThrow(ParsePrototypeNegatives(golden.Param<std::string>("negatives")));
  options.mean = OrThrow(ParsePrototypeMean(golden.Param<std::string>("mean")));
  options.student_channels = inputs.student.at(options.tap).size(1);
  options.teacher_channels = inputs.teacher.at(options.tap).size(1);
  return options;
}

GoldenOutcome PrototypeTripletLoss(const GoldenCase& golden) {
  GoldenOutcome outcome;
  LossInputs inputs;
  const Tensor student = outcome.AddLeaf("student_feat", golden.Input("student_feat"));
  inputs.student["aspp"] = student;
  inputs.teacher["aspp"] = golden.Input("teacher_feat");
  inputs.labels = golden.Input("labels");
  inputs.ignore_index = golden.Param<int64_t>("ignore_index");
  const I2ckdOptions options = I2ckdOptionsOf(golden, inputs);
  I2ckdLoss loss(options);
  const LossStatistics statistics = loss.Local(inputs);
  outcome.outputs["loss"] = loss.Finish(statistics);
  const Tensor down = DownsampleLabels(inputs.labels, student.size(2), student.size(3));
  outcome.outputs["labels_down"] = down;
  outcome.outputs["counts"] =
      SumByClass(student, down, options.num_classes, inputs.ignore_index).counts.sum(0);
  if (options.mean != I2ckdOptions::Mean::kPerImage) {
    const auto prototypes = loss.PrototypesOf(statistics);
    outcome.outputs["proto_student"] = prototypes.student;
    outcome.outputs["proto_teacher"] = prototypes.teacher;
  }
  return outcome;
}

}  // namespace

void AddLossOps(GoldenOps& ops) {
  ops["alw_total"] = {AlwTotal};
  ops["icsd"] = {Icsd};
  ops["icsd_gram"] = {IcsdGram};
  ops["pixel_kd"] = {PixelKd};
  ops["prototype_triplet"] = {PrototypeTripletLoss};
  ops["seg_ce_aux"] = {CrossEntropyWithAux};
}

}  // namespace reflux::golden
