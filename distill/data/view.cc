#include "distill/data/view.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>

#include "absl/strings/str_cat.h"
#include "common/base/counter_random.h"
#include "common/base/status_macros.h"
#include "common/targets/view_choice.h"

namespace reflux {
namespace {

// What of the resized image the crop covers.
cv::Rect Covered(const View& view) {
  return cv::Rect(view.crop_x, view.crop_y, view.crop_width, view.crop_height) &
         cv::Rect(0, 0, view.resized_width, view.resized_height);
}

cv::Mat Resize(const cv::Mat& image, const View& view, int interpolation) {
  if (image.rows == view.resized_height && image.cols == view.resized_width) return image;
  // Loader threads and the trainer share the cores: none of OpenCV's own.
  static const bool sequential = (cv::setNumThreads(0), true);
  static_cast<void>(sequential);
  cv::Mat resized;
  cv::resize(image, resized, cv::Size(view.resized_width, view.resized_height), 0, 0,
             interpolation);
  return resized;
}

// Copies one channel of the columns [first, end) of a row of the crop, normalised by a table of its
// 256 possible values.
void WriteRow(const uint8_t* pixels, int channel, int first, int end,
              const std::array<float, 256>& table, bool flip, int width, float* out) {
  for (int x = first; x < end; ++x, pixels += 3) {
    out[flip ? width - 1 - x : x] = table[pixels[channel]];
  }
}

}  // namespace

absl::Status ViewPolicy::Validate() const {
  if (replay < 0 || replay > kMaxReplayedViews) {
    return absl::InvalidArgumentError(
        absl::StrCat("targets.views: replay must be 1..", kMaxReplayedViews));
  }
  if (whole_height < 0 || whole_width < 0 || whole_height > View::kMaxSide ||
      whole_width > View::kMaxSide) {
    return absl::InvalidArgumentError(
        absl::StrCat("targets.views: whole: sides must be 8..", View::kMaxSide, " pixels"));
  }
  if (crop_height < 8 || crop_width < 8 || crop_height > View::kMaxSide ||
      crop_width > View::kMaxSide) {
    return absl::InvalidArgumentError(
        absl::StrCat("data.crop: sides must be 8..", View::kMaxSide, " pixels"));
  }
  if (padding < 0 || padding >= std::min(crop_height, crop_width)) {
    return absl::InvalidArgumentError(
        absl::StrCat("data.padding: ", padding, " is not at least 0 and less than the crop"));
  }
  if (!(min_scale > 0) || !(max_scale >= min_scale) || max_scale > 16) {
    return absl::InvalidArgumentError("data.scale: needs 0 < low <= high <= 16");
  }
  if (decode_shrink < 1 || decode_shrink > ShrinkFor(max_scale)) {
    return absl::InvalidArgumentError(
        absl::StrCat("decode_shrink: ", decode_shrink, " with scales up to ", max_scale));
  }
  return absl::OkStatus();
}

absl::Status ParseViewPolicy(absl::string_view text, ViewPolicy* policy) {
  REFLUX_ASSIGN_OR_RETURN(const ViewChoice choice, ParseViews(text));
  policy->replay = choice.replay;
  policy->whole = choice.kind == ViewChoice::Kind::kWhole;
  policy->whole_height = choice.height;
  policy->whole_width = choice.width;
  policy->automatic = choice.kind == ViewChoice::Kind::kAuto;
  return absl::OkStatus();
}

View DrawView(const ViewPolicy& policy, uint64_t view_seed, const Digest& sample,
              int32_t image_height, int32_t image_width, int64_t number) {
  const CounterRandom random(view_seed, absl::StrCat("view/", sample.Hex()));
  const double scale =
      policy.min_scale + (policy.max_scale - policy.min_scale) * random.Uniform(number, 0);
  const auto resized = [&](int32_t side) {
    return std::clamp<int32_t>(static_cast<int32_t>(std::lround(side * scale)), 1, View::kMaxSide);
  };
  View view{.resized_height = resized(image_height),
            .resized_width = resized(image_width),
            .crop_height = policy.crop_height,
            .crop_width = policy.crop_width,
            .decode_shrink = policy.decode_shrink};
  const auto origin = [&](int32_t side, int32_t crop, uint64_t purpose) {
    const int32_t places = std::max(0, side + 2 * policy.padding - crop) + 1;
    return static_cast<int32_t>(random.Below(places, number, purpose)) - policy.padding;
  };
  view.crop_y = origin(view.resized_height, view.crop_height, 1);
  view.crop_x = origin(view.resized_width, view.crop_width, 2);
  view.flip = policy.flip && random.Uniform(number, 3) < 0.5;
  return view;
}

View WholeView(int32_t height, int32_t width) {
  return {
      .resized_height = height, .resized_width = width, .crop_height = height, .crop_width = width};
}

View WholeViewOf(const ViewPolicy& policy, int32_t image_height, int32_t image_width) {
  if (policy.whole_height > 0) return WholeView(policy.whole_height, policy.whole_width);
  return WholeView(image_height, image_width);
}

bool HasPadding(const View& view) {
  const cv::Rect covered = Covered(view);
  return covered.width < view.crop_width || covered.height < view.crop_height;
}

void MarkPadding(const View& view, uint8_t* out) {
  const cv::Rect covered = Covered(view);
  const int first = covered.x - view.crop_x;
  std::fill(out, out + int64_t{view.crop_height} * view.crop_width, 1);
  for (int y = covered.y; y < covered.br().y; ++y) {
    uint8_t* row = out + int64_t{y - view.crop_y} * view.crop_width;
    std::fill_n(row + (view.flip ? view.crop_width - first - covered.width : first), covered.width,
                0);
  }
}

void ApplyView(const cv::Mat& image, const View& view, const Preprocessing& preprocessing,
               float* out) {
  const cv::Mat resized = Resize(image, view, cv::INTER_LINEAR_EXACT);
  const cv::Rect covered = Covered(view);
  const int64_t plane = int64_t{view.crop_height} * view.crop_width;
  std::fill(out, out + 3 * plane, 0.0F);
  for (int channel = 0; channel < 3; ++channel) {
    std::array<float, 256> table;
    for (int value = 0; value < 256; ++value) {
      table[value] =
          static_cast<float>((value / preprocessing.divisor - preprocessing.mean[channel]) /
                             preprocessing.deviation[channel]);
    }
    const int source = preprocessing.bgr ? channel : 2 - channel;
    const int first = covered.x - view.crop_x;
    for (int y = covered.y; y < covered.br().y; ++y) {
      WriteRow(resized.ptr<uint8_t>(y) + 3 * covered.x, source, first, first + covered.width, table,
               view.flip, view.crop_width,
               out + channel * plane + int64_t{y - view.crop_y} * view.crop_width);
    }
  }
}

void ApplyViewToLabel(const cv::Mat& label, const View& view, int64_t ignore, int64_t* out) {
  const cv::Mat resized = Resize(label, view, cv::INTER_NEAREST_EXACT);
  const cv::Rect covered = Covered(view);
  std::fill(out, out + int64_t{view.crop_height} * view.crop_width, ignore);
  for (int y = covered.y; y < covered.br().y; ++y) {
    const uint8_t* row = resized.ptr<uint8_t>(y) + covered.x;
    int64_t* to = out + int64_t{y - view.crop_y} * view.crop_width;
    for (int x = 0; x < covered.width; ++x) {
      const int column = covered.x - view.crop_x + x;
      to[view.flip ? view.crop_width - 1 - column : column] = row[x];
    }
  }
}

}  // namespace reflux
