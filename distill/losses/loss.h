// The seam that every training loss meets: two stages, so that one definition serves any number of
// ranks (design 6). Not thread-safe.
//
// Stage 1 (`Local`) computes differentiable sums and undifferentiable counts over this rank's share
// of the batch. Both are summed over the ranks. Stage 2 (`Finish`) is a function of the global sums
// and counts alone. With one rank, Finish(Local(x)) is the loss of the paper.
//
// Losses run in the maps' floating type, float32 or float64, outside autocast: the caller casts.
// Every rank must build the same graph each step: a loss with nothing to do (no valid pixel, absent
// class) returns zeros that are still connected to its inputs and parameters.
#pragma once

#include <torch/nn/module.h>
#include <torch/types.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace reflux {

// One batch as the losses see it.
struct LossInputs {
  std::map<std::string, torch::Tensor> student;  // tap -> [N,C,h,w], requires grad
  std::map<std::string, torch::Tensor> teacher;  // TargetSpec::name -> [N,C,h,w], constant
  // The same by the name of each teacher, from which LossSet takes `teacher` for a term that names
  // one.
  std::map<std::string, std::map<std::string, torch::Tensor>> teachers;
  torch::Tensor labels;  // [N,H,W] int64; [N,1,1] of whole images
  int64_t ignore_index = 255;
  // [N,H,W] bool: pixels beyond the image, of which a derived map of the teacher knows nothing;
  // undefined: none. Terms that read a teacher see 0 there on both sides (LossSet).
  torch::Tensor padding;
  // What random numbers of a loss are drawn from: the training step and the position of this
  // rank's first image in the global batch.
  uint64_t step = 0, first_position = 0;
  int64_t global_batch = 0;  // images of all ranks; 0: this share is all of them
  int64_t total_steps = 0;   // of the run, for terms that grow or fade; 0: has no end
  // A classifier's images that were mixed with others (distill/data/mixing.h): the labels of those,
  // as `labels`, and the share of the first; undefined: they were not.
  torch::Tensor mixed_labels;
  double label_share = 1;
  // The student's maps of the four rotations of each image, rotation k of image i in row 4 i + k;
  // there when a loss reads_rotations().
  std::map<std::string, torch::Tensor> rotated;
};

struct LossStatistics {
  torch::Tensor sums;    // 1-D, differentiable
  torch::Tensor counts;  // 1-D float64, no gradient
};

class Loss : public torch::nn::Module {
 public:
  virtual LossStatistics Local(const LossInputs& inputs) = 0;
  // Scalar, from statistics summed over all ranks.
  virtual torch::Tensor Finish(const LossStatistics& global) = 0;
  // True when the loss is sums[0] / max(counts[0], 1), with sums of one element: then no collective
  // is needed for the sums (LossSet uses sums[0] * world_size / global count).
  virtual bool additive() const = 0;
  // What the value is made of, by name, before any weight: reported beside it. From statistics
  // summed over all ranks; called after Finish, without gradient.
  virtual std::map<std::string, double> Parts(const LossStatistics& /*global*/) { return {}; }
  // Taps it reads from each side; of the teacher, where a reduction of the map is enough, the name
  // of that target: "aspp|class_sums" (TargetName in common/targets/target.h).
  virtual std::vector<std::string> student_taps() const = 0;
  virtual std::vector<std::string> teacher_taps() const = 0;
  virtual bool reads_rotations() const { return false; }  // LossInputs::rotated
};

// The map of `tap`; throws a c10::Error that names the tap and `side` ("student") if it is missing.
const torch::Tensor& RequireMap(const std::map<std::string, torch::Tensor>& maps,
                                const std::string& tap, const std::string& side);

// The images of all ranks, of which this rank has `share` (LossInputs::global_batch).
int64_t GlobalBatch(const LossInputs& inputs, int64_t share);

// What a term that compares with a teacher's derived maps sees: every position of both sides whose
// pixel (at the map's stride) is padding is 0, and no gradient reaches the student's map there. (A
// loss whose own layers make something of 0, as Af-DCD's, learns from it.) Without it, `inputs`.
LossInputs WithoutPadding(const LossInputs& inputs);

// `map` with every vector along `dim` divided by its length, or by 1e-12 where that is larger.
torch::Tensor UnitVectors(const torch::Tensor& map, int64_t dim);

// ||student - teacher||^2 over all elements, of equal sizes: one pass each way, where
// difference, square and sum take three.
torch::Tensor SquaredDistance(const torch::Tensor& student, const torch::Tensor& teacher);

}  // namespace reflux
