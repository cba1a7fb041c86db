// FRSKD's networks: classifiers, self-teachers, and steps of self-distillation.
#include <torch/nn/functional.h>

#include <optional>
#include <stdexcept>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "distill/losses/frskd_terms.h"
#include "distill/models/bifpn.h"
#include "distill/models/bifpn_seg.h"
#include "distill/models/image_classifier.h"
#include "tests/golden/ops.h"

namespace reflux::golden {
namespace {

using torch::Tensor;

// A layer of the segmentation pyramid as published has six levels.
constexpr int64_t kSegLevels = 6;

std::shared_ptr<ImageClassifier> Classifier(const GoldenCase& golden) {
  ClassifierOptions options;
  const auto model = golden.Param<std::string>("model");
  options.architecture = model == "frskd_cifarresnet18"
                             ? "cifar_resnet18"
                             : std::string(absl::StripPrefix(model, "frskd_"));
  options.num_classes = golden.Param<int64_t>("num_classes");
  options.norm_epsilon = golden.params.value("norm_epsilon", options.norm_epsilon);
  options.norm_momentum = golden.params.value("norm_momentum", options.norm_momentum);
  return OrThrow(BuildImageClassifier(options));
}

Bifpn SelfTeacherOf(const GoldenCase& golden) {
  const json& params = golden.params;
  const auto depth = golden.Param<std::vector<int64_t>>("depth");  // lateral, up, down
  BifpnOptions options{.channels = golden.Param<std::vector<int64_t>>("channels"),
                       .num_classes = golden.Param<int64_t>("num_classes"),
                       .num_channels = params.value("num_channels", int64_t{0}),
                       .width = params.value("width", int64_t{0}),
                       .repeat = golden.Param<int64_t>("repeat"),
                       .up_depth = depth.at(1),
                       .down_depth = depth.at(2)};
  options.norm_epsilon = params.value("norm_epsilon", options.norm_epsilon);
  options.norm_momentum = params.value("norm_momentum", options.norm_momentum);
  options.fusion_epsilon = params.value("fusion_epsilon", options.fusion_epsilon);
  if (const absl::Status valid = options.Validate(); !valid.ok()) {
    throw std::runtime_error(valid.ToString());
  }
  return Bifpn(options);
}

BifpnSegLayer SegLayer(const GoldenCase& golden) {
  return BifpnSegLayer(golden.Param<int64_t>("num_channels"),
                       golden.params.value("levels", kSegLevels), golden.Param<bool>("last"),
                       golden.params.value("norm_epsilon", 1e-5));
}

// In double, weights as the case gives them.
void Prepare(torch::nn::Module& module, const GoldenCase& golden, const std::string& group = "") {
  module.to(torch::kFloat64);
  golden.LoadWeights(module, group);
  module.train(golden.Param<std::string>("mode") == "train");
}

GoldenOutcome Classify(const GoldenCase& golden) {
  const torch::NoGradGuard no_gradients;
  const auto model = Classifier(golden);
  Prepare(*model, golden);
  const ClassifierOutputs outputs = model->Classify(golden.Input("images"));
  GoldenOutcome outcome;
  outcome.outputs["logits"] = outputs.logits;
  for (size_t i = 0; i < outputs.maps.size(); ++i) {
    outcome.outputs[absl::StrCat("feat", i)] = outputs.maps[i];
  }
  return outcome;
}

GoldenOutcome Refine(const GoldenCase& golden) {
  GoldenOutcome outcome;
  Bifpn self_teacher = SelfTeacherOf(golden);
  Prepare(*self_teacher, golden);
  std::vector<Tensor> maps;
  for (size_t i = 0; i < golden.params.at("channels").size(); ++i) {
    const std::string name = absl::StrCat("feat", i);
    maps.push_back(outcome.AddLeaf(name, golden.Input(name)));
  }
  for (const auto& item : self_teacher->named_parameters()) {
    outcome.leaves[item.key()] = item.value();
  }
  const BifpnOutputs outputs =
      self_teacher->forward(maps, /*before_relu=*/golden.Param<bool>("preactivation"));
  for (size_t i = 0; i < outputs.maps.size(); ++i) {
    outcome.outputs[absl::StrCat("out", i)] = outputs.maps[i];
  }
  outcome.outputs["logits"] = outputs.logits;
  if (golden.HasInput("labels")) {
    outcome.outputs["ce"] =
        torch::nn::functional::cross_entropy(outputs.logits, golden.Input("labels"));
  }
  return outcome;
}

GoldenOutcome RefineSegmentation(const GoldenCase& golden) {
  const torch::NoGradGuard no_gradients;
  BifpnSegLayer layer = SegLayer(golden);
  Prepare(*layer, golden);
  std::vector<Tensor> maps;
  for (int64_t i = 0; i < golden.Param<int64_t>("levels"); ++i) {
    maps.push_back(golden.Input(absl::StrCat("in", i)));
  }
  const PyramidMaps refined = layer->forward(maps);
  GoldenOutcome outcome;
  for (size_t i = 0; i < refined.maps.size(); ++i) {
    outcome.outputs[absl::StrCat("out", i)] = refined.maps[i];
  }
  return outcome;
}

torch::optim::SGD Optimizer(const GoldenCase& golden, std::vector<Tensor> parameters) {
  if (golden.Param<std::string>("schedule") != "constant") {
    throw std::runtime_error("unknown schedule");
  }
  return torch::optim::SGD(std::move(parameters),
                           torch::optim::SGDOptions(golden.Param<double>("lr"))
                               .momentum(golden.Param<double>("momentum"))
                               .dampening(golden.Param<double>("dampening"))
                               .nesterov(golden.Param<bool>("nesterov"))
                               .weight_decay(golden.Param<double>("weight_decay")));
}

// The total of one pass; its terms are added to the outcome.
Tensor SelfDistillation(const GoldenCase& golden, const ClassifierOutputs& student,
                        const BifpnOutputs& teacher, GoldenOutcome& outcome) {
  namespace F = torch::nn::functional;
  const Tensor labels = golden.Input("labels");
  const auto images = static_cast<double>(labels.size(0));
  FrskdTerms terms({.temperature = golden.Param<double>("temperature")});
  auto& out = outcome.outputs;
  out["student_logits"] = student.logits, out["teacher_logits"] = teacher.logits;
  out["ce_student"] = F::cross_entropy(student.logits, labels);
  out["ce_teacher"] = F::cross_entropy(teacher.logits, labels);
  out["kd"] = terms.SoftLabels(student.logits, teacher.logits) / images;
  Tensor total = out["ce_student"] + out["ce_teacher"] + golden.Param<double>("alpha") * out["kd"];
  for (size_t i = 0; i < student.maps.size(); ++i) {
    const Tensor level =
        terms.Level(static_cast<int64_t>(i), student.maps[i], teacher.maps[i]) / images;
    out[absl::StrCat("at", i)] = level;
    total = total + golden.Param<double>("beta") * level;
  }
  return total;
}

GoldenOutcome SelfDistillationSteps(const GoldenCase& golden) {
  const auto model = Classifier(golden);
  Bifpn self_teacher = SelfTeacherOf(golden);
  Prepare(*model, golden, "model");
  Prepare(*self_teacher, golden, "self_teacher");
  std::vector<Tensor> parameters = model->parameters();
  for (const Tensor& parameter : self_teacher->parameters()) parameters.push_back(parameter);
  auto optimizer = Optimizer(golden, parameters);
  GoldenOutcome first;
  std::vector<Tensor> totals;
  for (int64_t step = 0; step < golden.Param<int64_t>("steps"); ++step) {
    const ClassifierOutputs student = model->Classify(golden.Input("images"));
    GoldenOutcome outcome;
    const Tensor total =
        SelfDistillation(golden, student, self_teacher->forward(student.maps), outcome);
    if (step == 0) first = outcome;
    totals.push_back(total.detach());
    optimizer.zero_grad();
    total.backward();
    optimizer.step();
  }
  first.outputs["loss"] = torch::stack(totals);
  return first;
}

enum class Kind { kClassifier, kBifpn, kBifpnSeg };

// What the name of a model stands for; nothing for networks that are not FRSKD's.
std::optional<Kind> KindOf(const GoldenCase& golden) {
  const std::string model = golden.params.value("model", "");
  if (!absl::StartsWith(model, "frskd_")) return std::nullopt;
  if (absl::StartsWith(model, "frskd_bifpnseg")) return Kind::kBifpnSeg;
  if (absl::StartsWith(model, "frskd_bifpn")) return Kind::kBifpn;
  return Kind::kClassifier;
}

}  // namespace

bool IsFrskdNetwork(const GoldenCase& golden) { return KindOf(golden).has_value(); }

std::shared_ptr<torch::nn::Module> BuildFrskdNetwork(const GoldenCase& golden) {
  switch (KindOf(golden).value()) {
    case Kind::kBifpn:
      return SelfTeacherOf(golden).ptr();
    case Kind::kBifpnSeg:
      return SegLayer(golden).ptr();
    case Kind::kClassifier:
      break;
  }
  return Classifier(golden);
}

void AddFrskdModelOps(GoldenOps& ops) {
  for (const char* op : {"cifar_resnet18", "imagenet_resnet18", "wrn16x2"}) ops[op] = {Classify};
  for (const char* op : {"bifpn", "bifpnc"}) ops[op] = {Refine};
  ops["bifpnseg"] = {RefineSegmentation};
  ops["selfkd_steps"] = {SelfDistillationSteps};
}

}  // namespace reflux::golden
