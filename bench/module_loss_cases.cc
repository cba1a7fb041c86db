#include "bench/module_loss_cases.h"

#include <memory>
#include <utility>

#include "bench/naive_modules.h"
#include "distill/losses/afdcd_loss.h"
#include "distill/losses/frskd_loss.h"
#include "distill/losses/memory_loss.h"

namespace reflux {
namespace {

using torch::Tensor;

// A fresh loss has norms of 1 and biases of 0, with which a form that forgot them would agree.
void Unsettle(Tensor parameter) {
  if (parameter.dim() == 1) parameter.add_(0.3 * torch::randn_like(parameter));
}

void Restore(Loss& loss, const std::map<std::string, Tensor>& buffers) {
  const torch::NoGradGuard no_grad;
  loss.zero_grad();
  for (auto& buffer : loss.named_buffers()) buffer.value().copy_(buffers.at(buffer.key()));
}

// The case of `loss`, whose parameters and buffers all forms are given.
LossCase CaseOf(const std::string& name, NaiveInputs inputs, const std::string& tap,
                const std::shared_ptr<Loss>& loss) {
  const torch::NoGradGuard no_grad;
  LossCase one{name, std::move(inputs), ByLibrary(tap, loss)};
  for (const auto& parameter : loss->named_parameters()) {
    Unsettle(parameter.value());
    one.inputs.weights[parameter.key()] = parameter.value().detach();
    one.kept_bytes += static_cast<int64_t>(parameter.value().nbytes());
  }
  for (const auto& buffer : loss->named_buffers()) {
    one.inputs.given[buffer.key()] = buffer.value().clone();
    one.kept_bytes += static_cast<int64_t>(buffer.value().nbytes());
  }
  one.reset = [loss, buffers = one.inputs.given] { Restore(*loss, buffers); };
  return one;
}

LossCase AfdcdCase(const std::string& name, const NaiveInputs& inputs,
                   DenseContrastOptions::Negatives negatives,
                   AfdcdProjectorKind projector = AfdcdProjectorKind::kPlain) {
  AfdcdOptions options{.contrast = {.negatives = negatives}, .projector = projector};
  options.student_channels = inputs.student.size(1);
  options.teacher_channels = inputs.teacher.size(1);
  const auto loss = std::make_shared<AfdcdLoss>(options);
  LossCase one = CaseOf(name, inputs, options.tap, loss);
  LossInputs of_mask;
  of_mask.teacher[options.tap] = inputs.teacher;
  one.inputs.given["mask"] = loss->MaskFor(of_mask);
  return one;
}

// Which rows of all classes' vectors the loss draws at step 0: a queue of numbered vectors tells.
Tensor DrawnRows(const MemoryOptions& options, int64_t size, int64_t samples) {
  const torch::NoGradGuard no_grad;
  const int64_t classes = options.num_classes;
  FeatureQueue numbered(classes, size, 1);
  auto buffers = numbered->named_buffers();
  buffers["vectors"].copy_(torch::arange(classes * size).view({classes, size, 1}));
  buffers["written"].fill_(size);
  return numbered->Sample((samples + classes - 1) / classes, options.tap.seed, /*step=*/0)
      .flatten()
      .to(torch::kInt64);
}

// The memory full, as after the first few hundred steps of a run.
LossCase MemoryCase(const NaiveInputs& features) {
  MemoryOptions options;
  options.tap = {.student_channels = features.student.size(1),
                 .teacher_channels = features.teacher.size(1)};
  options.num_classes = features.num_classes;
  const auto loss = std::make_shared<MemoryLoss>(options);
  for (auto& buffer : loss->named_buffers()) {
    if (buffer.key() == "pixels.written") buffer.value().fill_(options.pixel_queue);
    if (buffer.key() == "regions.written") buffer.value().fill_(options.region_queue);
    if (buffer.value().dim() == 3)
      buffer.value().copy_(UnitVectors(torch::randn_like(buffer.value()), 2));
  }
  LossCase one = CaseOf("cirkd_memory", features, options.tap.tap, loss);
  one.inputs.given["pixel_rows"] = DrawnRows(options, options.pixel_queue, options.pixel_samples);
  one.inputs.given["region_rows"] =
      DrawnRows(options, options.region_queue, options.region_samples);
  return one;
}

// Four maps as a dilated ResNet-18 gives them, and labels of the image's size.
NaiveInputs FrskdInputs(const LossBenchOptions& options) {
  NaiveInputs inputs;
  const auto map = [&](int64_t channels, int64_t scale) {
    return torch::randn({options.batch, channels, scale * options.height, scale * options.width});
  };
  inputs.student = map(options.classes, 1);
  inputs.maps = {{"c1", map(64, 2)}, {"c2", map(128, 1)}, {"c3", map(256, 1)}, {"c4", map(512, 1)}};
  inputs.labels = torch::randint(0, options.classes + 1,
                                 {options.batch, 8 * options.height, 8 * options.width});
  inputs.labels.masked_fill_(inputs.labels == options.classes, 255);
  inputs.num_classes = options.classes;
  return inputs;
}

LossCase FrskdCase(const std::string& name, const NaiveInputs& inputs, FrskdFeatures features,
                   double beta) {
  FrskdOptions options{.beta = beta, .warmup = 0, .ramp = false, .features = features};
  options.self_teacher.num_classes = inputs.num_classes;
  for (const std::string& tap : options.taps) {
    options.self_teacher.channels.push_back(inputs.maps.at(tap).size(1));
  }
  return CaseOf(name, inputs, "logits", std::make_shared<FrskdLoss>(options));
}

}  // namespace

std::vector<LossCase> MakeModuleCases(const LossBenchOptions& options,
                                      const NaiveInputs& features) {
  using Negatives = DenseContrastOptions::Negatives;
  // c4 of a ResNet-18 has a quarter of the channels of a ResNet-101's.
  const NaiveInputs deep =
      RandomInputs(options, options.contrast_channels / 4, options.contrast_channels);
  const NaiveInputs maps = FrskdInputs(options);
  return {AfdcdCase("afdcd_omni", deep, Negatives::kOmni),
          AfdcdCase("afdcd_spatial", deep, Negatives::kSpatialPatch),
          AfdcdCase("afdcd_channel", deep, Negatives::kChannel),
          AfdcdCase("afdcd_bottleneck", deep, Negatives::kOmni, AfdcdProjectorKind::kBottleneck),
          MemoryCase(features),
          FrskdCase("frskd", maps, FrskdFeatures::kAttention, kFrskdBeta.attention),
          FrskdCase("frskd_fitnet", maps, FrskdFeatures::kFitNet, kFrskdBeta.fitnet),
          FrskdCase("frskd_overhaul", maps, FrskdFeatures::kOverhaul, kFrskdBeta.overhaul)};
}

}  // namespace reflux
