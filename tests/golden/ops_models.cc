#include <torch/nn/functional.h>

#include <algorithm>
#include <optional>
#include <stdexcept>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "distill/models/build_model.h"
#include "distill/models/counter_dropout.h"
#include "tests/golden/ops.h"

namespace reflux::golden {
namespace {

using torch::Tensor;

// CIRKD's heads on ResNets: 512 wide for DeepLabV3, 128 or 256 for PSPNet; the others as Af-DCD's.
int64_t CirkdWidth(absl::string_view architecture) {
  if (absl::StartsWith(architecture, "deeplabv3_resnet")) return 512;
  return architecture == "psp_resnet50" || architecture == "psp_resnet101" ? 256 : 0;
}

// The golden model names are "<code base>_<architecture>", those of torchvision, mmseg and FRSKD's
// segmentation whole as ours.
std::optional<ModelOptions> OptionsFor(const std::string& model) {
  ModelOptions options;
  absl::string_view architecture = model;
  if (absl::ConsumePrefix(&architecture, "cirkd_")) {
    options.aspp_width = CirkdWidth(architecture);
  } else if (!absl::ConsumePrefix(&architecture, "afdcd_") &&
             !absl::ConsumePrefix(&architecture, "aicsd_") &&
             !absl::StartsWith(architecture, "torchvision_") &&
             !absl::StartsWith(architecture, "mmseg_") &&
             !absl::StartsWith(architecture, "efficientdet_")) {
    return std::nullopt;
  }
  options.architecture = std::string(architecture);
  const auto known = KnownArchitectures();
  if (std::find(known.begin(), known.end(), options.architecture) == known.end()) {
    return std::nullopt;
  }
  return options;
}

std::string NotCovered(const GoldenCase& golden) {
  const auto model = golden.Param<std::string>("model");
  return OptionsFor(model) ? "" : "model " + model;
}

std::shared_ptr<SegmentationModel> Build(const GoldenCase& golden) {
  ModelOptions options = *OptionsFor(golden.Param<std::string>("model"));
  const json& params = golden.params;
  options.num_classes = params.at("num_classes");
  options.aux = params.at("aux");
  options.output_stride = params.value("output_stride", options.output_stride);
  options.norm_epsilon = params.value("norm_epsilon", options.norm_epsilon);
  options.norm_momentum = params.value("norm_momentum", options.norm_momentum);
  if (params.contains("dropout")) {
    options.head_dropout = options.aspp_dropout = params["dropout"];
  }
  const auto model = BuildModel(options);
  if (!model.ok()) throw std::runtime_error(model.status().ToString());
  return *model;
}

// In double, weights as the case gives them.
std::shared_ptr<SegmentationModel> BuildAndLoad(const GoldenCase& golden) {
  const auto model = Build(golden);
  model->to(torch::kFloat64);
  golden.LoadWeights(*model);
  model->train(golden.Param<std::string>("mode") == "train");
  return model;
}

std::string KeyLine(const std::string& name, const Tensor& tensor) {
  const bool is_float = tensor.scalar_type() == torch::kFloat32;
  return absl::StrCat(name, "\t[", absl::StrJoin(tensor.sizes(), ", "), "]\t",
                      is_float ? "float32" : "int64");
}

std::string StateDictNotCovered(const GoldenCase& golden) {
  return IsFrskdNetwork(golden) ? "" : NotCovered(golden);
}

GoldenOutcome StateDict(const GoldenCase& golden) {
  const std::shared_ptr<torch::nn::Module> model =
      IsFrskdNetwork(golden) ? BuildFrskdNetwork(golden) : Build(golden);
  GoldenOutcome outcome;
  int64_t parameters = 0;
  std::vector<std::string>& keys = outcome.keys["keys"];
  for (const auto& item : model->named_parameters()) {
    parameters += item.value().numel();
    keys.push_back(KeyLine(item.key(), item.value()));
  }
  for (const auto& item : model->named_buffers()) keys.push_back(KeyLine(item.key(), item.value()));
  outcome.outputs["parameters"] = torch::tensor(parameters);
  outcome.outputs["entries"] = torch::tensor(static_cast<int64_t>(keys.size()));
  return outcome;
}

Tensor ResizeTo(const Tensor& map, const Tensor& reference, bool align_corners) {
  return torch::upsample_bilinear2d(map, {reference.size(-2), reference.size(-1)}, align_corners);
}

// As torchvision returns them: logits of the image's size; `out_low` before that.
void ResizeOutputs(const SegmentationModel& model, const GoldenCase& golden, const Tensor& images,
                   std::map<std::string, Tensor>& outputs) {
  if (golden.Param<bool>("align_corners") != model.align_corners()) {
    throw std::runtime_error("the network resizes its logits otherwise");
  }
  outputs["out_low"] = outputs.at("logits");
  outputs["out"] = ResizeTo(outputs.at("logits"), images, model.align_corners());
  if (outputs.count("aux") > 0) {
    outputs["aux"] = ResizeTo(outputs.at("aux"), images, model.align_corners());
  }
  outputs["backbone_out"] = outputs.at("c4");
}

GoldenOutcome ModelEval(const GoldenCase& golden) {
  torch::NoGradGuard no_grad;
  const auto model = BuildAndLoad(golden);
  std::vector<std::string> taps;
  for (const auto& tap : model->taps()) taps.push_back(tap.name);
  GoldenOutcome outcome;
  const Tensor images = golden.Input("images");
  outcome.outputs = model->Forward(images, taps);
  outcome.outputs["feat"] = outcome.outputs.at("aspp");
  if (golden.params.value("resize_output", false)) {
    ResizeOutputs(*model, golden, images, outcome.outputs);
  }
  return outcome;
}

struct StepLosses {
  Tensor main, aux, total;
};

Tensor CrossEntropy(const Tensor& logits, const GoldenCase& golden) {
  namespace F = torch::nn::functional;
  const Tensor labels = golden.Input("labels");
  const Tensor resized = ResizeTo(logits, labels, golden.Param<bool>("align_corners"));
  return F::cross_entropy(
      resized, labels,
      F::CrossEntropyFuncOptions().ignore_index(golden.Param<int64_t>("ignore_index")));
}

StepLosses Losses(const TapOutputs& outputs, const GoldenCase& golden) {
  StepLosses losses;
  losses.main = losses.total = CrossEntropy(outputs.at("logits"), golden);
  if (golden.Param<bool>("aux")) {
    losses.aux = CrossEntropy(outputs.at("aux"), golden);
    losses.total = losses.main + golden.Param<double>("aux_weight") * losses.aux;
  }
  return losses;
}

torch::optim::SGD Optimizer(SegmentationModel& model, const GoldenCase& golden) {
  if (golden.Param<std::string>("schedule") != "constant") {
    throw std::runtime_error("unknown schedule");
  }
  return torch::optim::SGD(model.parameters(),
                           torch::optim::SGDOptions(golden.Param<double>("lr"))
                               .momentum(golden.Param<double>("momentum"))
                               .dampening(golden.Param<double>("dampening"))
                               .nesterov(golden.Param<bool>("nesterov"))
                               .weight_decay(golden.Param<double>("weight_decay")));
}

// The whole gradient's norm; keeps the gradients that the case expects of this step.
Tensor RecordGradients(SegmentationModel& model, const GoldenCase& golden, int64_t step,
                       GoldenOutcome& outcome) {
  const auto parameters = model.named_parameters();
  Tensor squares = torch::zeros({}, torch::TensorOptions(torch::kFloat64).device(GoldenDevice()));
  for (const auto& item : parameters) squares += item.value().grad().square().sum();
  for (const auto& [logical, expected] : golden.expect.items()) {
    if (expected.contains("step") && expected["step"] == step && expected.contains("of")) {
      outcome.outputs[logical] = parameters[expected["of"].get<std::string>()].grad().clone();
    }
  }
  return squares.sqrt();
}

GoldenOutcome TrainSteps(const GoldenCase& golden) {
  const auto model = BuildAndLoad(golden);
  auto optimizer = Optimizer(*model, golden);
  const Tensor images = golden.Input("images");
  GoldenOutcome outcome;
  std::map<std::string, std::vector<Tensor>> series;
  for (int64_t step = 0; step < golden.Param<int64_t>("steps"); ++step) {
    SetDropoutContext(*model, {0, static_cast<uint64_t>(step), 0});
    const TapOutputs outputs = model->Forward(images, {"logits"});
    const StepLosses losses = Losses(outputs, golden);
    optimizer.zero_grad();
    losses.total.backward();
    for (const auto& [name, tensor] : outputs) {
      outcome.outputs[absl::StrCat(name, "_step", step)] = tensor.detach();
    }
    series["grad_norm"].push_back(RecordGradients(*model, golden, step, outcome));
    series["loss_main"].push_back(losses.main.detach());
    series["loss_total"].push_back(losses.total.detach());
    if (losses.aux.defined()) series["loss_aux"].push_back(losses.aux.detach());
    optimizer.step();
  }
  for (const auto& [name, values] : series) outcome.outputs[name] = torch::stack(values);

  torch::NoGradGuard no_grad;
  for (const auto& item : model->named_parameters()) outcome.state[item.key()] = item.value();
  for (const auto& item : model->named_buffers()) outcome.state[item.key()] = item.value();
  model->eval();
  const TapOutputs outputs = model->Forward(images, {"logits", "aux"});
  outcome.outputs["final_logits"] = outputs.at("logits");
  outcome.outputs["final_loss"] = Losses(outputs, golden).total;
  return outcome;
}

}  // namespace

void AddModelOps(GoldenOps& ops) {
  ops["state_dict"] = {StateDict, StateDictNotCovered};
  ops["model_eval"] = {ModelEval, NotCovered};
  ops["train_steps"] = {TrainSteps, NotCovered};
}

}  // namespace reflux::golden
