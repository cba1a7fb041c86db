// FRSKD's losses.
#include <cmath>

#include "absl/strings/str_cat.h"
#include "distill/losses/cross_entropy_loss.h"
#include "distill/losses/frskd_terms.h"
#include "tests/golden/ops.h"

namespace reflux::golden {
namespace {

using torch::Tensor;

// The maps of one side, `<side>_feat<i>`, finest first.
std::vector<Tensor> Maps(const GoldenCase& golden, const std::string& side) {
  std::vector<Tensor> maps;
  for (int64_t i = 0; i < golden.Param<int64_t>("levels"); ++i) {
    maps.push_back(golden.Input(absl::StrCat(side, "_feat", i)));
  }
  return maps;
}

// What the totals are made of; everything of both sides is a leaf.
struct Sides {
  Tensor student_logits, teacher_logits;
  std::vector<Tensor> student, teacher;
};

Sides Read(const GoldenCase& golden, GoldenOutcome& outcome) {
  if (!golden.Param<bool>("teacher_is_constant")) {
    throw std::runtime_error("a self-teacher that is no constant");
  }
  Sides sides{outcome.AddLeaf("student_logits", golden.Input("student_logits")),
              outcome.AddLeaf("teacher_logits", golden.Input("teacher_logits")),
              Maps(golden, "student"), Maps(golden, "teacher")};
  for (size_t i = 0; i < sides.student.size(); ++i) {
    for (auto* maps : {&sides.student, &sides.teacher}) {
      const char* side = maps == &sides.student ? "student" : "teacher";
      (*maps)[i] = outcome.AddLeaf(absl::StrCat(side, "_feat", i), (*maps)[i]);
    }
  }
  return sides;
}

// The terms of the case, with its parameters where it has some.
std::shared_ptr<FrskdTerms> Terms(const GoldenCase& golden, const Sides& sides,
                                  FrskdFeatures features) {
  FrskdTermOptions options{.features = features,
                           .temperature = golden.Param<double>("temperature")};
  options.norm_epsilon = golden.params.value("norm_epsilon", options.norm_epsilon);
  for (const Tensor& map : sides.student) options.student_channels.push_back(map.size(1));
  for (const Tensor& map : sides.teacher) options.teacher_channels.push_back(map.size(1));
  auto terms = std::make_shared<FrskdTerms>(options);
  terms->to(GoldenDevice(), torch::kFloat64);
  const torch::NoGradGuard no_gradients;
  for (auto& item : terms->named_parameters()) {
    item.value().copy_(golden.Weight(item.key(), item.value().sizes().vec()));
  }
  return terms;
}

GoldenOutcome Kd(const GoldenCase& golden) {
  GoldenOutcome outcome;
  if (golden.Param<std::string>("divide_by") != "batch" ||
      !golden.Param<bool>("temperature_squared")) {
    throw std::runtime_error("unknown form of KD");
  }
  const Tensor student = outcome.AddLeaf("student_logits", golden.Input("student_logits"));
  FrskdTermOptions options{.temperature = golden.Param<double>("temperature")};
  outcome.outputs["kd"] = FrskdTerms(options).SoftLabels(student, golden.Input("teacher_logits")) /
                          static_cast<double>(student.size(0));
  return outcome;
}

GoldenOutcome At(const GoldenCase& golden) {
  GoldenOutcome outcome;
  const Tensor student = outcome.AddLeaf("student_feat", golden.Input("student_feat"));
  FrskdTermOptions options{.power = golden.Param<int64_t>("power")};
  outcome.outputs["at"] = FrskdTerms(options).Level(0, student, golden.Input("teacher_feat")) /
                          static_cast<double>(student.size(0));
  return outcome;
}

// Soft labels and features before their weights, per image; the feature term of each level.
struct Parts {
  Tensor kd;
  std::vector<Tensor> levels;
  Tensor Distillation(const GoldenCase& golden) const {
    return golden.Param<double>("alpha") * kd +
           golden.Param<double>("beta") * torch::stack(levels).sum();
  }
};

Parts PartsOf(FrskdTerms& terms, const Sides& sides, const std::vector<Tensor>& margins = {}) {
  const auto images = static_cast<double>(sides.student_logits.size(0));
  Parts parts{.kd = terms.SoftLabels(sides.student_logits, sides.teacher_logits) / images};
  for (size_t i = 0; i < sides.student.size(); ++i) {
    parts.levels.push_back(terms.Level(static_cast<int64_t>(i), sides.student[i], sides.teacher[i],
                                       margins.empty() ? Tensor() : margins[i]) /
                           images);
  }
  return parts;
}

// Mean cross entropy, of a classifier or of maps.
Tensor CrossEntropy(Tensor logits, Tensor labels, int64_t ignore_index) {
  if (logits.dim() == 2) {
    logits = logits.unsqueeze(-1).unsqueeze(-1);
    labels = labels.unsqueeze(-1).unsqueeze(-1);
  }
  return CrossEntropySum(logits, labels, ignore_index, /*align_corners=*/true) /
         labels.ne(ignore_index).sum();
}

void AddCrossEntropies(const GoldenCase& golden, const Sides& sides, int64_t ignore_index,
                       GoldenOutcome& outcome) {
  const Tensor labels = golden.Input("labels");
  outcome.outputs["ce_student"] = CrossEntropy(sides.student_logits, labels, ignore_index);
  outcome.outputs["ce_teacher"] = CrossEntropy(sides.teacher_logits, labels, ignore_index);
}

GoldenOutcome Total(const GoldenCase& golden) {
  GoldenOutcome outcome;
  const Sides sides = Read(golden, outcome);
  const Parts parts = PartsOf(*Terms(golden, sides, FrskdFeatures::kAttention), sides);
  AddCrossEntropies(golden, sides, /*ignore_index=*/-100, outcome);
  auto& out = outcome.outputs;
  out["kd"] = parts.kd;
  out["at"] = torch::stack(parts.levels);
  out["distill"] = parts.Distillation(golden);
  out["total"] = out["ce_student"] + out["ce_teacher"] + out["distill"];
  return outcome;
}

GoldenOutcome Hint(const GoldenCase& golden) {
  GoldenOutcome outcome;
  const Sides sides = Read(golden, outcome);
  const Parts parts = PartsOf(*Terms(golden, sides, FrskdFeatures::kFitNet), sides);
  outcome.outputs["distill"] = parts.Distillation(golden);
  return outcome;
}

GoldenOutcome OverhaulDistillation(const GoldenCase& golden) {
  GoldenOutcome outcome;
  const Sides sides = Read(golden, outcome);
  std::vector<Tensor> margins;
  for (int64_t i = 0; i < golden.Param<int64_t>("levels"); ++i) {
    const std::string norm = absl::StrCat("teacher_bn", i);
    margins.push_back(OverhaulMargin(golden.Input(norm + "_weight"), golden.Input(norm + "_bias"),
                                     golden.Param<double>("min_probability"),
                                     golden.Param<double>("margin_fallback_factor")));
    outcome.outputs[absl::StrCat("margin", i)] = margins.back();
  }
  const auto terms = Terms(golden, sides, FrskdFeatures::kOverhaul);
  outcome.outputs["distill"] = PartsOf(*terms, sides, margins).Distillation(golden);
  return outcome;
}

double RampOf(const GoldenCase& golden, int64_t epoch) {
  return FrskdRamp(epoch, golden.Param<int64_t>("warmup"), golden.Param<int64_t>("epochs"),
                   golden.Param<double>("sharpness"));
}

GoldenOutcome Ramp(const GoldenCase& golden) {
  const Tensor epochs = golden.Input("epoch");
  Tensor values = torch::empty(epochs.sizes(), torch::kFloat64);
  for (int64_t i = 0; i < epochs.numel(); ++i) {
    values.view(-1)[i] = RampOf(golden, epochs.view(-1)[i].item<int64_t>());
  }
  GoldenOutcome outcome;
  outcome.outputs["ramp"] = values;
  return outcome;
}

GoldenOutcome SegTotal(const GoldenCase& golden) {
  GoldenOutcome outcome;
  const Sides sides = Read(golden, outcome);
  const Parts parts = PartsOf(*Terms(golden, sides, FrskdFeatures::kAttention), sides);
  AddCrossEntropies(golden, sides, golden.Param<int64_t>("ignore_index"), outcome);
  const double ramp = RampOf(golden, golden.Param<int64_t>("epoch"));
  const double share =
      static_cast<double>(sides.student_logits.size(0)) / golden.Param<double>("accumulate_to");
  auto& out = outcome.outputs;
  out["kd"] = parts.kd;
  out["at"] = torch::stack(parts.levels).sum();
  out["ramp"] = torch::tensor(ramp, torch::kFloat64);
  out["total"] =
      (out["ce_student"] + out["ce_teacher"] + ramp * parts.Distillation(golden)) * share;
  return outcome;
}

}  // namespace

void AddFrskdOps(GoldenOps& ops) {
  ops["frskd_kd"] = {Kd};
  ops["frskd_at"] = {At};
  ops["frskd_total"] = {Total};
  ops["frskd_hint"] = {Hint};
  ops["frskd_overhaul"] = {OverhaulDistillation};
  ops["frskd_ramp"] = {Ramp};
  ops["frskd_seg_total"] = {SegTotal};
}

}  // namespace reflux::golden
