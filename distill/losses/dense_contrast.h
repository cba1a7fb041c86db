// Contrast between cells (pixel, group of channels) of two maps: the contrastive part of Af-DCD
// (NeurIPS 2023), published in its omni form alone.
#pragma once

#include <torch/types.h>

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace reflux {

struct DenseContrastOptions {
  // Which of the teacher's cells an anchor of the student is held against; the positive is the
  // anchor's own cell.
  enum class Negatives {
    kOmni,          // published: the other groups of every pixel of the patch
    kOmniAll,       // the paper's figure: every other cell of the patch
    kSpatialPatch,  // whole channel vectors of the other pixels of the patch
    kSpatialFull,   // the same, over the whole map
    kChannel,       // the other groups of the same pixel
  };
  Negatives negatives = Negatives::kOmni;
  int64_t groups = 16;  // of consecutive channels
  double temperature = 0.07;
  // Before contrast the upper left crop_height x crop_width corner is taken (0: the whole map),
  // then max-pooled with window and stride `pool` (0: not at all). A window or patch larger than
  // the map shrinks to it; rows and columns that fill no patch are left out.
  int64_t crop_height = 0, crop_width = 0;
  int64_t pool = 4;
  int64_t patch_height = 4, patch_width = 4;

  absl::Status Validate() const;
};

absl::StatusOr<DenseContrastOptions::Negatives> ParseContrastNegatives(absl::string_view name);

// The map that is contrasted: cropped, pooled, cut to whole patches.
torch::Tensor ContrastMap(const torch::Tensor& map, const DenseContrastOptions& options);

// The same from a map that a teacher has pooled already (reduction max_pool:pool of the whole map):
// equal to the bit, since the windows of a corner are those of the whole. `options` must be
// Poolable.
torch::Tensor ContrastMapOfPooled(const torch::Tensor& pooled, const DenseContrastOptions& options);
// Whether pooling may come before the crop: there is a pool, and no crop smaller than its window.
bool Poolable(const DenseContrastOptions& options);

// Cells of a contrasted map [N,C,h,w]: [patches, pixels x groups, C / groups], patches in the
// order (image, row, column), cells pixel by pixel. Without groups for the spatial negatives,
// with patches of one pixel for channel.
torch::Tensor ContrastCells(const torch::Tensor& map, const DenseContrastOptions& options);

// Sum over the images of 1 / (h w) sum over anchors of -ln softmax(-||S_x - T_y||_1 / temperature)
// at y = x; `student`, `teacher` [N,C,H,W], h x w the contrasted size. Memory: patches x cells^2.
torch::Tensor DenseContrastSum(const torch::Tensor& student, const torch::Tensor& teacher,
                               const DenseContrastOptions& options);
// The same of two contrasted maps [N,C,h,w]; throws c10::Error when their sizes differ.
torch::Tensor ContrastedSum(const torch::Tensor& student, const torch::Tensor& teacher,
                            const DenseContrastOptions& options);

}  // namespace reflux
