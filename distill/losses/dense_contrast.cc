#include "distill/losses/dense_contrast.h"

#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"
#include "common/base/choose.h"
#include "common/targets/reduction.h"

namespace reflux {
namespace {

using torch::Tensor;
using Negatives = DenseContrastOptions::Negatives;

struct CellGrid {
  int64_t groups, height, width;  // of a patch
};

CellGrid GridOf(const Tensor& map, const DenseContrastOptions& options) {
  const int64_t height = std::min(options.patch_height, map.size(2));
  const int64_t width = std::min(options.patch_width, map.size(3));
  switch (options.negatives) {
    case Negatives::kOmni:
    case Negatives::kOmniAll:
      return {options.groups, height, width};
    case Negatives::kSpatialPatch:
      return {1, height, width};
    case Negatives::kSpatialFull:
      return {1, map.size(2), map.size(3)};
    case Negatives::kChannel:
      return {options.groups, 1, 1};
  }
  return {1, 1, 1};
}

Tensor WholePatches(const Tensor& map, const DenseContrastOptions& options) {
  const CellGrid grid = GridOf(map, options);
  return map.slice(2, 0, map.size(2) / grid.height * grid.height)
      .slice(3, 0, map.size(3) / grid.width * grid.width);
}

// True where cell y is neither positive nor negative of anchor x: same group, another pixel.
Tensor LeftOut(int64_t cells, int64_t groups, const torch::Device& device) {
  const Tensor cell = torch::arange(cells, torch::TensorOptions(torch::kInt64).device(device));
  const Tensor group = cell.remainder(groups);
  return group.unsqueeze(1).eq(group.unsqueeze(0)) & cell.unsqueeze(1).ne(cell.unsqueeze(0));
}

}  // namespace

absl::Status DenseContrastOptions::Validate() const {
  const auto bad = [](auto... parts) {
    return absl::InvalidArgumentError(absl::StrCat("losses.afdcd.", parts...));
  };
  if (groups < 1) return bad("groups: ", groups, " is below 1");
  if (!(temperature > 0)) return bad("temperature: ", temperature, " is not positive");
  if (pool < 0) return bad("pool: ", pool, " is negative");
  if (crop_height < 0 || crop_width < 0 || (crop_height > 0) != (crop_width > 0)) {
    return bad("crop: give height and width, both positive, or none");
  }
  if (patch_height < 1 || patch_width < 1) return bad("patch: height or width is below 1");
  return absl::OkStatus();
}

absl::StatusOr<Negatives> ParseContrastNegatives(absl::string_view name) {
  return Choose<Negatives>("losses.afdcd.negatives", name,
                           {{"omni", Negatives::kOmni},
                            {"omni_all", Negatives::kOmniAll},
                            {"spatial_patch", Negatives::kSpatialPatch},
                            {"spatial_full", Negatives::kSpatialFull},
                            {"channel", Negatives::kChannel}});
}

Tensor ContrastMap(const Tensor& map, const DenseContrastOptions& options) {
  Tensor out = map;
  if (options.crop_height > 0) {
    out = out.slice(2, 0, options.crop_height).slice(3, 0, options.crop_width);
  }
  if (options.pool > 1) {
    const int64_t rows = std::min(options.pool, out.size(2));
    const int64_t columns = std::min(options.pool, out.size(3));
    out = torch::max_pool2d(out, {rows, columns}, {rows, columns});
  }
  return WholePatches(out, options);
}

Tensor ContrastMapOfPooled(const Tensor& pooled, const DenseContrastOptions& options) {
  Tensor out = pooled;
  if (options.crop_height > 0) {
    out = out.slice(2, 0, options.crop_height / options.pool)
              .slice(3, 0, options.crop_width / options.pool);
  }
  return WholePatches(out, options);
}

bool Poolable(const DenseContrastOptions& options) {
  const bool cropped = options.crop_height > 0;
  return options.pool > 1 && options.pool <= kMaxPoolWindow &&
         (!cropped || std::min(options.crop_height, options.crop_width) >= options.pool);
}

Tensor ContrastCells(const Tensor& map, const DenseContrastOptions& options) {
  const CellGrid grid = GridOf(map, options);
  const int64_t images = map.size(0), channels = map.size(1) / grid.groups;
  const int64_t rows = map.size(2) / grid.height, columns = map.size(3) / grid.width;
  return map.reshape({images, grid.groups, channels, rows, grid.height, columns, grid.width})
      .permute({0, 3, 5, 4, 6, 1, 2})
      .reshape({images * rows * columns, grid.height * grid.width * grid.groups, channels});
}

Tensor DenseContrastSum(const Tensor& student, const Tensor& teacher,
                        const DenseContrastOptions& options) {
  return ContrastedSum(ContrastMap(student, options), ContrastMap(teacher, options), options);
}

Tensor ContrastedSum(const Tensor& student, const Tensor& teacher,
                     const DenseContrastOptions& options) {
  TORCH_CHECK(student.sizes() == teacher.sizes(),
              "afdcd: the maps to contrast differ in size: ", student.sizes(), " and ",
              teacher.sizes());
  const Tensor from = ContrastCells(student, options);
  const Tensor to = ContrastCells(teacher, options);
  Tensor similarity = torch::cdist(from, to, 1) / -options.temperature;
  const Tensor positive = similarity.diagonal(0, 1, 2);
  if (options.negatives == Negatives::kOmni) {
    similarity = similarity.masked_fill(LeftOut(from.size(1), options.groups, from.device()),
                                        -std::numeric_limits<double>::infinity());
  }
  const double positions = static_cast<double>(student.size(2) * student.size(3));
  return (similarity.logsumexp(2) - positive).sum() / positions;
}

}  // namespace reflux
