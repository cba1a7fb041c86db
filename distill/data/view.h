// Views of images: how they are chosen and how they are applied. Torch-free, thread-safe.
//
// `ApplyView` is the definition behind every cache key: student and teacher call it on the same
// bytes and get the same pixels, on any machine (8-bit fixed-point interpolation, the same for
// every instruction set). Changing its arithmetic means raising Numerics::kInferenceRevision. It
// runs in the calling thread alone: OpenCV's own threads are switched off at its first call.
#pragma once

#include <cstdint>
#include <opencv2/core/mat.hpp>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/targets/target.h"

namespace reflux {

// Which views training takes of an image (design 4).
struct ViewPolicy {
  int64_t replay = 8;  // number of deterministic views; 0: a fresh view at every draw
  // The teacher sees the whole image, once, and maps of the (fresh) views are derived from its map
  // (derived_map.h). At this size; 0: the image's own.
  bool whole = false;
  int32_t whole_height = 0, whole_width = 0;
  bool automatic = false;  // `auto`: to be chosen (job_plan/view_plan.h)
  int32_t crop_height = 360, crop_width = 360;
  double min_scale = 0.5, max_scale = 2.0;
  bool flip = true;
  int32_t padding = 0;  // pixels around the resized image that a crop may take in
  // View::decode_shrink of every view; at most ShrinkFor(max_scale).
  int32_t decode_shrink = 1;

  absl::Status Validate() const;
};

// Reads `replay: K`, `live`, `whole`, `whole: HxW` or `auto` into those fields of the policy.
absl::Status ParseViewPolicy(absl::string_view text, ViewPolicy* policy);

// View `number` of an image: a pure function of (policy, view_seed, sample, image size, number).
// Scale uniform in [min_scale, max_scale], crop origin uniform over the padded image, flip with
// probability 1/2.
View DrawView(const ViewPolicy& policy, uint64_t view_seed, const Digest& sample,
              int32_t image_height, int32_t image_width, int64_t number);

// The whole image at the given size (for evaluation, and of policy `whole`).
View WholeView(int32_t height, int32_t width);
// What the teacher is asked of an image of this size when a view is to be derived.
View WholeViewOf(const ViewPolicy& policy, int32_t image_height, int32_t image_width);
// Whether some pixels of the view lie beyond the image.
bool HasPadding(const View& view);
// `out` [crop_height, crop_width]: 1 where that is so, else 0.
void MarkPadding(const View& view, uint8_t* out);

// `image` is 8-bit BGR, decoded as the view says; `out` receives [3, crop_height, crop_width]
// floats: resized bilinearly (half-pixel centres), cropped, flipped, channels ordered and
// normalised. Padding is 0, the mean colour.
void ApplyView(const cv::Mat& image, const View& view, const Preprocessing& preprocessing,
               float* out);

// `label` is 8-bit; `out` receives [crop_height, crop_width] class indices: nearest resize
// (half-pixel centres, as the image's), padding = `ignore`.
void ApplyViewToLabel(const cv::Mat& label, const View& view, int64_t ignore, int64_t* out);

}  // namespace reflux
