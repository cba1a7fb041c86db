#include "distill/losses/memory_loss.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/counter_random.h"
#include "common/base/status_macros.h"
#include "distill/losses/cross_entropy_loss.h"
#include "distill/losses/prototypes.h"
#include "distill/models/build_model.h"
#include "distill/models/layers.h"

namespace reflux {
namespace {

using torch::Tensor;

}  // namespace

// The unit features of all labelled positions, [m,D] each.
struct MemoryLoss::Labelled {
  Tensor student, teacher;
};

absl::Status MemoryOptions::Validate() const {
  REFLUX_RETURN_IF_ERROR(tap.Validate("cirkd_memory"));
  const auto bad = [](auto... parts) {
    return absl::InvalidArgumentError(absl::StrCat("losses.cirkd_memory.", parts...));
  };
  if (num_classes < 1) return bad("tap: needs a class");
  if (!(temperature > 0)) return bad("temperature: ", temperature, " is not positive");
  if (!(kd_temperature > 0)) return bad("kd_temperature: ", kd_temperature, " is not positive");
  if (pixel_queue < 1 || region_queue < 1) return bad("pixel_queue, region_queue: below 1");
  if (pixel_samples < 1 || region_samples < 1) return bad("pixel_samples, region_samples: below 1");
  if (pixels_per_image < 1 || pixels_per_image > pixel_queue)
    return bad("pixels_per_image: ", pixels_per_image, " is not in [1, pixel_queue]");
  if (!(pixel_weight >= 0 && region_weight >= 0))
    return bad("pixel_weight, region_weight: negative");
  return absl::OkStatus();
}

MemoryLoss::MemoryLoss(const MemoryOptions& options) : options_(options) {
  const int64_t width = options.tap.teacher_channels;
  first_ =
      register_module("first", Convolution({.in = options.tap.student_channels, .out = width}));
  norm_ = register_module("norm", BatchNorm2d(width));
  second_ = register_module("second", Convolution({.in = width, .out = width}));
  InitializeWeights(*this, options.tap.seed);
  pixels_ =
      register_module("pixels", FeatureQueue(options.num_classes, options.pixel_queue, width));
  regions_ =
      register_module("regions", FeatureQueue(options.num_classes, options.region_queue, width));
}

Tensor MemoryLoss::Project(const Tensor& student) {
  return second_->forward(torch::relu(norm_->forward(first_->forward(student))));
}

// The sum over the positions; connected to the student also where the memory is empty.
Tensor MemoryLoss::Divergence(const Labelled& positions, const Tensor& memory) const {
  if (memory.size(0) == 0 || positions.student.size(0) == 0) return positions.student.sum() * 0;
  const double temperature = options_.temperature * options_.kd_temperature;
  const auto log_probability = [&](const Tensor& features) {
    return torch::log_softmax(features.matmul(memory.t().to(features.dtype())) / temperature, 1);
  };
  const Tensor of_teacher = log_probability(positions.teacher);
  const Tensor kl = of_teacher.exp() * (of_teacher - log_probability(positions.student));
  return kl.sum() * (options_.kd_temperature * options_.kd_temperature);
}

// What the memory will take in, at its place in the global batch: for each image and class the
// region in row 0, pixels in the others; counts say how many rows are filled.
LossStatistics MemoryLoss::Entries(const Tensor& teacher, const Tensor& labels,
                                   const LossInputs& inputs) const {
  const auto first = static_cast<int64_t>(inputs.first_position);
  const int64_t images = GlobalBatch(inputs, teacher.size(0));
  const int64_t classes = options_.num_classes, width = teacher.size(1);
  Tensor rows = torch::zeros({images, classes, EntryRows(), width}, teacher.options());
  Tensor filled = torch::zeros({images, classes}, torch::kFloat64);
  const CounterRandom random(options_.tap.seed, "cirkd_memory.pixels");
  for (int64_t i = 0; i < teacher.size(0); ++i) {
    const Tensor features = teacher[i].flatten(1).t();  // [h w,D]
    for (int64_t c = 0; c < classes; ++c) {
      const Tensor of_class = labels[i].flatten().eq(c).nonzero().flatten();
      if (of_class.numel() == 0) continue;
      const auto global = static_cast<uint64_t>(first + i);
      std::vector<int64_t> order = random.Permutation(
          of_class.numel(),
          inputs.step << 32 | (global * static_cast<uint64_t>(classes) + static_cast<uint64_t>(c)));
      order.resize(std::min<size_t>(order.size(), options_.pixels_per_image));
      const Tensor mine = features.index_select(0, of_class);
      Tensor entry = rows[first + i][c];
      entry[0] = UnitVectors(mine.mean(0), 0);
      const auto count = static_cast<int64_t>(order.size());
      entry.slice(0, 1, 1 + count)
          .copy_(mine.index_select(0, torch::tensor(order, torch::kInt64).to(mine.device())));
      filled[first + i][c] = static_cast<double>(1 + count);
    }
  }
  return {rows.flatten(), filled.flatten()};
}

LossStatistics MemoryLoss::Local(const LossInputs& inputs) {
  const std::string& tap = options_.tap.tap;
  const Tensor teacher = UnitVectors(RequireMap(inputs.teacher, tap, "teacher").detach(), 1);
  const Tensor student =
      UnitVectors(Project(ResizeLike(RequireMap(inputs.student, tap, "student"), teacher)), 1);
  const Tensor labels = DownsampleLabels(inputs.labels, teacher.size(2), teacher.size(3));
  const Tensor valid =
      labels.ne(inputs.ignore_index) & labels.ge(0) & labels.lt(options_.num_classes);
  const Labelled positions{student.permute({0, 2, 3, 1}).index({valid}),
                           teacher.permute({0, 2, 3, 1}).index({valid})};
  const auto sample = [&](const FeatureQueue& queue, int64_t count) {
    return queue->Sample((count + options_.num_classes - 1) / options_.num_classes,
                         options_.tap.seed, inputs.step);
  };
  const Tensor pixel = Divergence(positions, sample(pixels_, options_.pixel_samples));
  const Tensor region = Divergence(positions, sample(regions_, options_.region_samples));
  const LossStatistics entries = Entries(teacher, labels, inputs);
  return {torch::cat({pixel.reshape({1}), region.reshape({1}), entries.sums}),
          torch::cat({CountOf(positions.student.size(0)), entries.counts})};
}

Tensor MemoryLoss::Finish(const LossStatistics& global) {
  const Tensor positions = global.counts[0].clamp_min(1).to(global.sums.dtype());
  if (is_training()) TakeIn(global);
  return (options_.pixel_weight * global.sums[0] + options_.region_weight * global.sums[1]) /
         positions;
}

void MemoryLoss::TakeIn(const LossStatistics& global) {
  const Tensor filled = global.counts.slice(0, 1).view({-1, options_.num_classes});
  const Tensor rows = global.sums.detach().slice(0, 2).view(
      {filled.size(0), options_.num_classes, EntryRows(), options_.tap.teacher_channels});
  for (int64_t image = 0; image < filled.size(0); ++image) {
    for (int64_t c = 0; c < options_.num_classes; ++c) {
      const auto count = static_cast<int64_t>(filled[image][c].item<double>());
      if (count == 0) continue;
      regions_->Push(c, rows[image][c].slice(0, 0, 1));
      pixels_->Push(c, rows[image][c].slice(0, 1, count));
    }
  }
}

std::map<std::string, double> MemoryLoss::Parts(const LossStatistics& global) {
  const double positions = std::max(global.counts[0].item<double>(), 1.0);
  return {{"pixel", global.sums[0].item<double>() / positions},
          {"region", global.sums[1].item<double>() / positions}};
}

}  // namespace reflux
