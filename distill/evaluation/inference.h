// How a network is applied to an image in evaluation: whole or through a sliding window, at one
// scale or several, with its mirror image or without. Thread-safe if the network's forward is.
#pragma once

#include <torch/types.h>

#include <vector>

#include "absl/status/status.h"
#include "distill/evaluation/evaluate.h"

namespace reflux {

struct InferenceOptions {
  // Window in pixels; 0: the whole image at once. A smaller image is one window of its own size.
  int32_t window_height = 0, window_width = 0;
  int32_t stride_height = 0, stride_width = 0;  // 0: two thirds of the window
  std::vector<double> scales;                   // of the image; empty: 1 alone
  bool flip = false;                            // the mirrored image too
  bool align_corners = true;                    // of the resizes, the network's own

  // InvalidArgument names the job's field: strides need a window and are no longer than it, scales
  // are 0.1 to 8, at most 16.
  absl::Status Validate() const;
  // Whether logits of the whole image alone are asked for.
  bool IsPlain() const;
};

// `predict` itself if the options are plain. Otherwise scores [N,C,H,W] of the image's own size:
// logits of windows are resized to the window and averaged where they overlap (mmsegmentation's
// slide mode); with several scales or the mirror image, the mean of each one's softmax. `options`
// must be valid. Throws c10::Error as LibTorch does.
PredictFn WithInference(PredictFn predict, const InferenceOptions& options);

// Where windows of `window` begin along `length` >= window: steps of `stride`, the last one moved
// back so that it ends with the image.
std::vector<int64_t> WindowStarts(int64_t length, int64_t window, int64_t stride);

}  // namespace reflux
