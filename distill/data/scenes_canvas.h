// Draws picture and label of a generated scene together (scenes.h). Not thread-safe.
#pragma once

#include <array>
#include <opencv2/core/mat.hpp>
#include <vector>

#include "distill/data/scenes_random.h"

namespace reflux {

// CamVid's indices.
enum SceneClass : uint8_t {
  kSky,
  kBuilding,
  kPole,
  kRoad,
  kPavement,
  kTree,
  kSign,
  kFence,
  kCar,
  kPedestrian,
  kBicyclist,
  kVoid
};

struct Paint {
  Colour colour;
  float rough = 0.08f;   // amplitude of the texture, relative to the colour
  int grain = 1;         // texture: 0 finest .. kGrains-1 coarsest
  float opacity = 1;     // 0: only the label changes
  float haze = 0;        // share of the haze colour
  float foot_shade = 1;  // brightness at the lower end, changing linearly from 1 at the upper
};

using Polygon = std::vector<cv::Point2f>;
Polygon EllipsePolygon(cv::Point2f centre, float radius_x, float radius_y, int corners = 20);

class SceneCanvas {
 public:
  static constexpr int kGrains = 4;
  SceneCanvas(int height, int width, Colour haze, SceneRandom& random);

  int height() const { return image_.rows; }
  int width() const { return image_.cols; }

  // What is drawn from here on is one object: it may get a void border of its own.
  void BeginObject();
  // Fills `polygon` (pixels); later ones cover earlier ones. Parts outside are cut off.
  void Fill(const Polygon& polygon, const Paint& paint, SceneClass label);
  void Line(cv::Point2f from, cv::Point2f to, float thickness, const Paint& paint,
            SceneClass label);
  // Multiplies the picture inside by `factor` (shadows); labels stay.
  void Shade(const Polygon& polygon, float factor);
  // Vertical gradient over everything, labelled sky, mixed with `clouds` of strength `cover`.
  void Sky(Colour top, Colour bottom, Colour clouds, float cover);

  cv::Mat& image() { return image_; }              // CV_32FC3
  const cv::Mat& label() const { return label_; }  // CV_8U
  // Number of the object at each pixel, CV_16U; 0 is the ground and the sky.
  const cv::Mat& objects() const { return objects_; }
  const cv::Mat& texture(int grain) const { return textures_[grain]; }  // CV_32F, -1..1

 private:
  // Bounding box of the polygon inside the canvas, its pixels set in mask_.
  cv::Rect Rasterise(const Polygon& polygon);

  cv::Mat image_, label_, objects_, mask_;
  std::array<cv::Mat, kGrains> textures_;
  const Colour haze_;
  uint16_t object_ = 0;
};

}  // namespace reflux
