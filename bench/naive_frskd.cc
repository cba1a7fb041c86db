// FRSKD for segmentation by its formula: pyramid, head and distillation terms.
#include <torch/nn/functional.h>

#include <cmath>
#include <vector>

#include "bench/naive_modules.h"

namespace reflux {
namespace {

using torch::Tensor;
namespace F = torch::nn::functional;

constexpr int64_t kLevels = 4, kLayers = 2;

struct Refined {
  std::vector<Tensor> maps, before_relu;
  Tensor logits;
};

Tensor Bilinear(const Tensor& map, torch::IntArrayRef size, bool align_corners) {
  return torch::upsample_bilinear2d(map, size, align_corners);
}

torch::IntArrayRef SizeOf(const Tensor& map) { return map.sizes().slice(map.dim() - 2); }

std::string Block(int64_t layer, int64_t level, const std::string& path) {
  return "self_teacher.layers." + std::to_string(layer) + ".conv" + std::to_string(level + 2) +
         path;
}

Tensor Run(const NaiveInputs& in, const std::string& block, const Tensor& map) {
  return NaiveNorm(in, block + ".1", NaiveConvolution(in, block + ".0", map));
}

std::vector<Tensor> Laterals(const NaiveInputs& in) {
  std::vector<Tensor> maps;
  for (int64_t i = 0; i < kLevels; ++i) {
    const std::string lateral = "self_teacher.lateral." + std::to_string(i);
    const Tensor& map = in.maps.at("c" + std::to_string(i + 1));
    const bool has = in.weights.count(lateral + ".0.weight") > 0;
    maps.push_back(has ? Run(in, lateral, map).relu() : map);
  }
  return maps;
}

Refined Up(const NaiveInputs& in, int64_t layer, const std::vector<Tensor>& maps) {
  Refined up{std::vector<Tensor>(kLevels), std::vector<Tensor>(kLevels), {}};
  for (int64_t i = kLevels - 1; i >= 0; --i) {
    Tensor sum = maps[i];
    if (i + 1 < kLevels) sum = sum + Bilinear(up.maps[i + 1], SizeOf(sum), false);
    up.before_relu[i] = Run(in, Block(layer, i, "up"), sum);
    up.maps[i] = up.before_relu[i].relu();
  }
  return up;
}

std::vector<Tensor> Down(const NaiveInputs& in, int64_t layer, const std::vector<Tensor>& maps,
                         const std::vector<Tensor>& up) {
  std::vector<Tensor> out = up;
  for (int64_t i = 1; i < kLevels; ++i) {
    const Tensor finer = torch::upsample_nearest2d(out[i - 1], SizeOf(maps[i]));
    out[i] = Run(in, Block(layer, i, "dw"), maps[i] + up[i] + finer).relu();
  }
  return out;
}

Refined Refine(const NaiveInputs& in) {
  std::vector<Tensor> maps = Laterals(in);
  for (int64_t layer = 0; layer + 1 < kLayers; ++layer) {
    maps = Down(in, layer, maps, Up(in, layer, maps).maps);
  }
  Refined refined = Up(in, kLayers - 1, maps);
  const std::string head = "self_teacher.classifier.";
  const Tensor hidden =
      NaiveNorm(in, head + "1", NaiveConvolution(in, head + "0", refined.maps[0]), 1e-4).relu();
  refined.logits = NaiveConvolution(in, head + "3", hidden);
  return refined;
}

Tensor Connected(const NaiveInputs& in, int64_t level) {
  return Run(in, "terms.linear." + std::to_string(level),
             in.maps.at("c" + std::to_string(level + 1)));
}

// E[x | x < 0] of the normal distribution that the norm of a level gives.
Tensor Margin(const NaiveInputs& in, int64_t level) {
  const std::string norm = Block(kLayers - 1, level, "up") + ".1";
  const Tensor deviation = in.weights.at(norm + ".weight").detach().abs();
  const Tensor mean = in.weights.at(norm + ".bias").detach(), ratio = mean / deviation;
  const Tensor below = 0.5 * torch::erfc(ratio / std::sqrt(2.0));
  const Tensor density = (-0.5 * ratio.square()).exp() / std::sqrt(2 * M_PI);
  return (mean - deviation * density / below).view({1, -1, 1, 1});
}

using Level = Tensor (*)(const NaiveInputs&, const Refined&, int64_t);

Tensor AttentionLevel(const NaiveInputs& in, const Refined& refined, int64_t i) {
  const Tensor& map = in.maps.at("c" + std::to_string(i + 1));
  return (NaiveAttention(map) - NaiveAttention(refined.maps[i].detach())).square().mean();
}

Tensor FitNetLevel(const NaiveInputs& in, const Refined& refined, int64_t i) {
  return (Connected(in, i).relu() - refined.maps[i].detach()).square().mean();
}

Tensor OverhaulLevel(const NaiveInputs& in, const Refined& refined, int64_t i) {
  const Tensor target = torch::max(refined.before_relu[i].detach(), Margin(in, i));
  const Tensor map = Connected(in, i);
  const Tensor counts = torch::logical_or(map > target, target > 0).to(map.dtype());
  const double halves = std::pow(2.0, static_cast<double>(kLevels - 1 - i));
  return ((map - target).square() * counts).sum() / halves / static_cast<double>(map.size(0));
}

Tensor Frskd(const NaiveInputs& in, Level level, double beta) {
  const Refined refined = Refine(in);
  const torch::IntArrayRef pixels = SizeOf(in.labels);
  const Tensor logits = Bilinear(refined.logits, pixels, true);
  const Tensor ce =
      F::cross_entropy(logits, in.labels, F::CrossEntropyFuncOptions().ignore_index(255));
  Tensor features = torch::zeros({});
  for (int64_t i = 0; i < kLevels; ++i) features = features + level(in, refined, i);
  return ce + NaiveDivergence(Bilinear(in.student, pixels, true), logits.detach()) +
         beta * features;
}

}  // namespace

Tensor NaiveFrskd(const NaiveInputs& in) { return Frskd(in, AttentionLevel, kFrskdBeta.attention); }
Tensor NaiveFrskdFitNet(const NaiveInputs& in) { return Frskd(in, FitNetLevel, kFrskdBeta.fitnet); }
Tensor NaiveFrskdOverhaul(const NaiveInputs& in) {
  return Frskd(in, OverhaulLevel, kFrskdBeta.overhaul);
}

}  // namespace reflux
