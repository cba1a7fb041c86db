#include "distill/evaluation/inference.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "distill/tensors/resize.h"

namespace reflux {
namespace {

using torch::indexing::Slice;

// The padding to stride boundaries of networks makes smaller images pointless.
constexpr int64_t kMinSide = 8;

class Inference {
 public:
  Inference(PredictFn predict, InferenceOptions options)
      : predict_(std::move(predict)), options_(std::move(options)) {
    if (options_.scales.empty()) options_.scales = {1.0};
  }

  absl::StatusOr<torch::Tensor> operator()(const torch::Tensor& images) const {
    const torch::NoGradGuard no_gradients;
    const size_t passes = options_.scales.size() * (options_.flip ? 2 : 1);
    if (passes == 1 && options_.scales[0] == 1) return Logits(images);
    torch::Tensor sum;
    for (const double scale : options_.scales) {
      for (const bool flip : {false, true}) {
        if (flip && !options_.flip) continue;
        REFLUX_ASSIGN_OR_RETURN(const torch::Tensor probabilities, Pass(images, scale, flip));
        sum = sum.defined() ? sum.add_(probabilities) : probabilities;
      }
    }
    return sum / static_cast<double>(passes);
  }

 private:
  absl::StatusOr<torch::Tensor> Pass(const torch::Tensor& images, double scale, bool flip) const {
    const auto side = [scale](int64_t length) {
      return std::max<int64_t>(kMinSide, std::lround(static_cast<double>(length) * scale));
    };
    torch::Tensor input = images;
    if (scale != 1)
      input = ResizeBilinear(images, side(images.size(2)), side(images.size(3)),
                             options_.align_corners);
    if (flip) input = input.flip({3});
    REFLUX_ASSIGN_OR_RETURN(torch::Tensor logits, Logits(input));
    if (flip) logits = logits.flip({3});
    return torch::softmax(
        ResizeBilinear(logits, images.size(2), images.size(3), options_.align_corners), 1);
  }

  // Of the size of `images`.
  absl::StatusOr<torch::Tensor> Logits(const torch::Tensor& images) const {
    const int64_t height = images.size(2), width = images.size(3);
    const int64_t window_height = Window(options_.window_height, height);
    const int64_t window_width = Window(options_.window_width, width);
    torch::Tensor sum, count;
    for (const int64_t y : WindowStarts(height, window_height,
                                        StrideOf(options_.stride_height, options_.window_height))) {
      for (const int64_t x : WindowStarts(width, window_width,
                                          StrideOf(options_.stride_width, options_.window_width))) {
        const auto where = {torch::indexing::TensorIndex(Slice()),
                            torch::indexing::TensorIndex(Slice()),
                            torch::indexing::TensorIndex(Slice(y, y + window_height)),
                            torch::indexing::TensorIndex(Slice(x, x + window_width))};
        REFLUX_ASSIGN_OR_RETURN(const torch::Tensor raw,
                                predict_(images.index(where).contiguous()));
        const torch::Tensor logits =
            ResizeBilinear(raw.to(torch::kCPU, torch::kFloat32), window_height, window_width,
                           options_.align_corners);
        if (!sum.defined()) {
          sum = torch::zeros({logits.size(0), logits.size(1), height, width});
          count = torch::zeros({1, 1, height, width});
        }
        sum.index(where).add_(logits);
        count.index(where).add_(1);
      }
    }
    return sum.div_(count);
  }

  static int64_t Window(int64_t asked, int64_t length) {
    return asked == 0 ? length : std::min(asked, length);
  }
  static int64_t StrideOf(int64_t stride, int64_t window) {
    return std::max<int64_t>(1, stride == 0 ? window * 2 / 3 : stride);
  }

  const PredictFn predict_;
  InferenceOptions options_;
};

}  // namespace

absl::Status InferenceOptions::Validate() const {
  if (window_height < 0 || window_width < 0 || (window_height == 0) != (window_width == 0))
    return absl::InvalidArgumentError("eval_window: give both height and width, or none");
  if (stride_height < 0 || stride_width < 0 || stride_height > window_height ||
      stride_width > window_width)
    return absl::InvalidArgumentError("eval_stride: needs a window at least as large");
  if (scales.size() > 16) return absl::InvalidArgumentError("eval_scales: at most 16 scales");
  for (const double scale : scales) {
    if (scale >= 0.1 && scale <= 8) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("eval_scales: ", scale, " is out of range [0.1, 8]"));
  }
  return absl::OkStatus();
}

bool InferenceOptions::IsPlain() const {
  const bool one = scales.empty() || (scales.size() == 1 && scales[0] == 1);
  return window_height == 0 && one && !flip;
}

PredictFn WithInference(PredictFn predict, const InferenceOptions& options) {
  if (options.IsPlain()) return predict;
  return Inference(std::move(predict), options);
}

std::vector<int64_t> WindowStarts(int64_t length, int64_t window, int64_t stride) {
  std::vector<int64_t> starts;
  for (int64_t start = 0; start + window < length; start += stride) starts.push_back(start);
  starts.push_back(length - window);
  return starts;
}

}  // namespace reflux
