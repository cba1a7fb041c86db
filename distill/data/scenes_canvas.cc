#include "distill/data/scenes_canvas.h"

#include <algorithm>
#include <cmath>
#include <opencv2/imgproc.hpp>

namespace reflux {
namespace {

constexpr int kShift = 4;  // fixed-point bits of OpenCV's polygon corners

// Smooth noise in -1..1 whose features are about `cell` pixels wide.
cv::Mat Noise(int height, int width, int cell, SceneRandom& random) {
  cv::Mat lattice(height / cell + 2, width / cell + 2, CV_32F);
  uint64_t bits = 0;
  int left = 0;
  for (int y = 0; y < lattice.rows; ++y) {
    float* row = lattice.ptr<float>(y);
    for (int x = 0; x < lattice.cols; ++x, bits >>= 8, --left) {
      if (left == 0) bits = random.Bits(), left = 8;
      row[x] = static_cast<float>(bits & 255) / 127.5f - 1.0f;
    }
  }
  if (cell == 1) return lattice(cv::Rect(0, 0, width, height)).clone();
  cv::Mat noise;
  cv::resize(lattice, noise, cv::Size(lattice.cols * cell, lattice.rows * cell), 0, 0,
             cv::INTER_LINEAR);
  return noise(cv::Rect(0, 0, width, height)).clone();
}

}  // namespace

Polygon EllipsePolygon(cv::Point2f centre, float radius_x, float radius_y, int corners) {
  Polygon polygon;
  for (int i = 0; i < corners; ++i) {
    const double angle = 2 * M_PI * i / corners;
    polygon.emplace_back(centre.x + radius_x * static_cast<float>(std::cos(angle)),
                         centre.y + radius_y * static_cast<float>(std::sin(angle)));
  }
  return polygon;
}

SceneCanvas::SceneCanvas(int height, int width, Colour haze, SceneRandom& random)
    : image_(height, width, CV_32FC3, cv::Scalar::all(0)),
      label_(height, width, CV_8U, cv::Scalar(kVoid)),
      objects_(height, width, CV_16U, cv::Scalar(0)),
      mask_(height, width, CV_8U, cv::Scalar(0)),
      haze_(haze) {
  // Features scale with the picture, so that sizes differ in detail only.
  const double scale = height / 360.0;
  const std::array<double, kGrains> cells = {1, 3, 9, 30};
  for (int g = 0; g < kGrains; ++g) {
    textures_[g] =
        Noise(height, width, std::max(1, static_cast<int>(std::lround(cells[g] * scale))), random);
  }
}

void SceneCanvas::BeginObject() { ++object_; }

cv::Rect SceneCanvas::Rasterise(const Polygon& polygon) {
  cv::Point2f low = polygon[0], high = polygon[0];
  for (const cv::Point2f& p : polygon) {
    low = {std::min(low.x, p.x), std::min(low.y, p.y)};
    high = {std::max(high.x, p.x), std::max(high.y, p.y)};
  }
  const auto left = static_cast<int>(std::floor(std::clamp(low.x, 0.f, float(width()))));
  const auto top = static_cast<int>(std::floor(std::clamp(low.y, 0.f, float(height()))));
  const auto right = static_cast<int>(std::floor(std::clamp(high.x, -1.f, width() - 1.f)));
  const auto bottom = static_cast<int>(std::floor(std::clamp(high.y, -1.f, height() - 1.f)));
  const cv::Rect box(left, top, right - left + 1, bottom - top + 1);
  if (box.width <= 0 || box.height <= 0) return {};
  std::vector<cv::Point> corners;
  for (const cv::Point2f& p : polygon) {
    // Far outside is as good as a little outside, and keeps the fixed-point numbers small.
    const float x = std::clamp(p.x, -8.f * width(), 9.f * width()) - left;
    const float y = std::clamp(p.y, -8.f * height(), 9.f * height()) - top;
    corners.emplace_back(std::lround(x * (1 << kShift)), std::lround(y * (1 << kShift)));
  }
  cv::Mat mask = mask_(box);
  mask.setTo(0);
  cv::fillPoly(mask, std::vector<std::vector<cv::Point>>{corners}, cv::Scalar(255), cv::LINE_8,
               kShift);
  return box;
}

void SceneCanvas::Fill(const Polygon& polygon, const Paint& paint, SceneClass label) {
  const cv::Rect box = Rasterise(polygon);
  for (int y = box.y; y < box.y + box.height; ++y) {
    const uint8_t* mask = mask_.ptr<uint8_t>(y);
    const float* texture = textures_[paint.grain].ptr<float>(y);
    auto* pixel = image_.ptr<Colour>(y);
    const float down = static_cast<float>(y - box.y) / static_cast<float>(box.height);
    const float shade = 1 + (paint.foot_shade - 1) * down;
    for (int x = box.x; x < box.x + box.width; ++x) {
      if (mask[x] == 0) continue;
      const Colour solid = paint.colour * (shade * (1 + paint.rough * texture[x]));
      const Colour seen = solid * (1 - paint.haze) + haze_ * paint.haze;
      pixel[x] = pixel[x] * (1 - paint.opacity) + seen * paint.opacity;
      label_.at<uint8_t>(y, x) = label;
      objects_.at<uint16_t>(y, x) = object_;
    }
  }
}

void SceneCanvas::Line(cv::Point2f from, cv::Point2f to, float thickness, const Paint& paint,
                       SceneClass label) {
  const cv::Point2f along = to - from;
  const float length = std::max(1e-3f, std::hypot(along.x, along.y));
  const cv::Point2f across(-along.y / length * thickness / 2, along.x / length * thickness / 2);
  Fill({from + across, to + across, to - across, from - across}, paint, label);
}

void SceneCanvas::Shade(const Polygon& polygon, float factor) {
  const cv::Rect box = Rasterise(polygon);
  for (int y = box.y; y < box.y + box.height; ++y) {
    for (int x = box.x; x < box.x + box.width; ++x) {
      if (mask_.at<uint8_t>(y, x) != 0) image_.at<Colour>(y, x) *= factor;
    }
  }
}

void SceneCanvas::Sky(Colour top, Colour bottom, Colour clouds, float cover) {
  label_.setTo(kSky);
  for (int y = 0; y < height(); ++y) {
    const float down = std::min(1.f, 2.f * y / height());
    // Clouds are flat: their noise is read with the vertical axis stretched.
    const int row = std::min(height() - 1, 2 * y);
    for (int x = 0; x < width(); ++x) {
      const float coarse = textures_[3].at<float>(row, x), fine = textures_[2].at<float>(row, x);
      const float cloud = std::clamp(coarse * 0.8f + fine * 0.3f + cover, 0.f, 1.f);
      image_.at<Colour>(y, x) = (top * (1 - down) + bottom * down) * (1 - cloud) + clouds * cloud;
    }
  }
}

}  // namespace reflux
