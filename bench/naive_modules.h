// The losses that have parameters or a memory, by their formulas (naive_losses.h).
#pragma once

#include "bench/naive_losses.h"

namespace reflux {

// How Af-DCD cuts a map into the cells that it contrasts.
struct NaiveCells {
  int64_t groups = 16;  // of channels
  int64_t patch = 4;    // a square of so many positions
  // Whether cells of the anchor's group at other positions are no negatives.
  bool other_groups_alone = true;
};
constexpr NaiveCells kOmniCells;
constexpr NaiveCells kSpatialCells{.groups = 1, .other_groups_alone = false};
constexpr NaiveCells kChannelCells{.patch = 1};

// The contrast alone, and the whole of Af-DCD: weights "align", "projetor"; given "mask".
LossForm NaiveContrast(const NaiveCells& cells);
LossForm NaiveAfdcd(const NaiveCells& cells);

// CIRKD's memory terms: weights "first", "norm", "second"; given the queues "pixels.vectors",
// "regions.vectors" and "pixel_rows", "region_rows", the rows of all classes' vectors that this
// step compares with. Takes the batch into the queues.
torch::Tensor NaiveMemory(const NaiveInputs& in);

// What FRSKD's maps weigh, by their kind: as much in the value as its cross entropy, so that a
// wrong term shows. Published are 50 for attention, and for overhaul nothing that holds.
struct FrskdBetas {
  double attention = 1e4, fitnet = 1, overhaul = 4e-6;
};
constexpr FrskdBetas kFrskdBeta;

// FRSKD after its warm-up: weights "self_teacher", "terms"; maps "c1" to "c4".
torch::Tensor NaiveFrskd(const NaiveInputs& in);
torch::Tensor NaiveFrskdFitNet(const NaiveInputs& in);
torch::Tensor NaiveFrskdOverhaul(const NaiveInputs& in);

// Convolution (zeros around, as many groups as the weight asks for) and batch norm in training,
// with the weights of that name.
torch::Tensor NaiveConvolution(const NaiveInputs& in, const std::string& name,
                               const torch::Tensor& map);
torch::Tensor NaiveNorm(const NaiveInputs& in, const std::string& name, const torch::Tensor& map,
                        double epsilon = 1e-5);

}  // namespace reflux
