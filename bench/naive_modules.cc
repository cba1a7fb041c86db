#include "bench/naive_modules.h"

namespace reflux {
namespace {

using torch::Tensor;

// [patches,cells,channels] of a map that is pooled first.
Tensor Cells(const Tensor& map, const NaiveCells& kind) {
  const Tensor pooled = torch::max_pool2d(map, 4, 4);
  const int64_t rows = pooled.size(2) / kind.patch, columns = pooled.size(3) / kind.patch;
  return pooled.slice(2, 0, rows * kind.patch)
      .slice(3, 0, columns * kind.patch)
      .reshape({map.size(0), kind.groups, -1, rows, kind.patch, columns, kind.patch})
      .permute({0, 3, 5, 4, 6, 1, 2})
      .reshape({map.size(0) * rows * columns, kind.patch * kind.patch * kind.groups, -1});
}

// Every difference of two cells written out: [patches,cells,cells,channels].
Tensor Contrast(const Tensor& student, const Tensor& teacher, const NaiveCells& kind) {
  const Tensor from = Cells(student, kind), to = Cells(teacher, kind);
  Tensor similarity = (from.unsqueeze(2) - to.unsqueeze(1)).abs().sum(3) / -0.07;
  const Tensor positive = similarity.diagonal(0, 1, 2);
  if (kind.other_groups_alone) {
    const Tensor group = torch::arange(from.size(1)) % kind.groups;
    const Tensor own = torch::eye(from.size(1), torch::kBool);
    const Tensor kept = (group.unsqueeze(0) != group.unsqueeze(1)).logical_or(own);
    similarity = similarity.masked_fill(kept.logical_not(), -1e30);
  }
  const double positions = static_cast<double>(from.size(0) * kind.patch * kind.patch);
  return (similarity.logsumexp(2) - positive).sum() / positions;
}

Tensor Project(const NaiveInputs& in, const Tensor& map) {
  const auto layer = [&](const char* name, const Tensor& of) {
    return NaiveConvolution(in, std::string("projetor.") + name, of);
  };
  if (in.weights.count("projetor.reduce.weight") == 0) return layer("2", layer("0", map).relu());
  return layer("expand", layer("mix", layer("reduce", map).relu()).relu());
}

Tensor Afdcd(const NaiveInputs& in, const NaiveCells& kind) {
  const Tensor projected =
      Project(in, NaiveConvolution(in, "align", in.student) * in.given.at("mask"));
  const Tensor feature =
      (projected - in.teacher).square().sum() / static_cast<double>(in.student.size(0));
  return 2e-6 * feature + 0.005 * Contrast(projected, in.teacher, kind);
}

// [N,C,h,w] -> [N h w,C].
Tensor ByPosition(const Tensor& map) { return map.permute({0, 2, 3, 1}).flatten(0, 2); }

// Over the cosines with the drawn rows of a queue [K,size,C].
Tensor MemoryDivergence(const Tensor& student, const Tensor& teacher, const Tensor& queue,
                        const Tensor& rows) {
  const Tensor memory = queue.flatten(0, 1).index_select(0, rows);
  return NaiveDivergence(student.matmul(memory.t()) / 0.1, teacher.matmul(memory.t()) / 0.1);
}

// Class by class, image by image: the mean, and the first 16 pixels of the class.
void TakeIn(const NaiveInputs& in, const Tensor& teacher) {
  Tensor pixels = in.given.at("pixels.vectors"), regions = in.given.at("regions.vectors");
  for (int64_t c = 0; c < in.num_classes; ++c) {
    int64_t pixel = 0, region = 0;  // full queues start over
    for (int64_t image = 0; image < in.labels.size(0); ++image) {
      const Tensor of_class = (in.labels[image].flatten() == c).nonzero().flatten();
      if (of_class.numel() == 0) continue;
      const Tensor mine = teacher[image].flatten(1).t().index_select(0, of_class);
      regions[c][region++].copy_(NaiveUnit(mine.mean(0), 0));
      const int64_t count = std::min<int64_t>(mine.size(0), 16);
      pixels[c].slice(0, pixel, pixel + count).copy_(mine.slice(0, 0, count));
      pixel += count;
    }
  }
}

}  // namespace

Tensor NaiveConvolution(const NaiveInputs& in, const std::string& name, const Tensor& map) {
  const Tensor& weight = in.weights.at(name + ".weight");
  const auto bias = in.weights.find(name + ".bias");
  return torch::conv2d(map, weight, bias == in.weights.end() ? Tensor() : bias->second,
                       /*stride=*/1, /*padding=*/weight.size(2) / 2, /*dilation=*/1,
                       /*groups=*/map.size(1) / weight.size(1));
}

Tensor NaiveNorm(const NaiveInputs& in, const std::string& name, const Tensor& map,
                 double epsilon) {
  return torch::batch_norm(map, in.weights.at(name + ".weight"), in.weights.at(name + ".bias"),
                           in.given.at(name + ".running_mean"), in.given.at(name + ".running_var"),
                           /*training=*/true, /*momentum=*/0.1, epsilon, /*cudnn_enabled=*/false);
}

LossForm NaiveContrast(const NaiveCells& cells) {
  return [cells](const NaiveInputs& in) { return Contrast(in.student, in.teacher, cells); };
}

LossForm NaiveAfdcd(const NaiveCells& cells) {
  return [cells](const NaiveInputs& in) { return Afdcd(in, cells); };
}

Tensor NaiveMemory(const NaiveInputs& in) {
  const Tensor hidden = NaiveNorm(in, "norm", NaiveConvolution(in, "first", in.student)).relu();
  const Tensor student = ByPosition(NaiveUnit(NaiveConvolution(in, "second", hidden), 1));
  const Tensor unit = NaiveUnit(in.teacher, 1), teacher = ByPosition(unit);
  const Tensor pixel =
      MemoryDivergence(student, teacher, in.given.at("pixels.vectors"), in.given.at("pixel_rows"));
  const Tensor region = MemoryDivergence(student, teacher, in.given.at("regions.vectors"),
                                         in.given.at("region_rows"));
  TakeIn(in, unit);
  return 0.1 * pixel + 0.1 * region;
}

}  // namespace reflux
