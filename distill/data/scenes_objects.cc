// Trees, poles, signs and bins (scenes_objects.h).
#include "distill/data/scenes_objects.h"

#include <algorithm>
#include <cmath>

namespace reflux {
namespace {

// Thickness in pixels of `metres` at distance z, never thinner than what one pixel of the finished
// picture shows.
float Thickness(const ScenePen& pen, double metres, double z) {
  return std::max(1.6f, static_cast<float>(metres) * pen.camera.focal / static_cast<float>(z));
}

// A leafy blob: an ellipse with a ragged edge.
Polygon Leaves(SceneRandom& random, cv::Point2f centre, float radius_x, float radius_y) {
  Polygon blob = EllipsePolygon(centre, radius_x, radius_y, 18);
  for (cv::Point2f& p : blob) {
    p = centre + (p - centre) * static_cast<float>(random.Uniform(0.72, 1.15));
  }
  return blob;
}

void DrawTrafficLight(const ScenePen& pen, cv::Point2f top, float metre, double z) {
  const float half = 0.17f * metre, high = 0.85f * metre;
  pen.canvas.Fill({{top.x - half, top.y},
                   {top.x + half, top.y},
                   {top.x + half, top.y + high},
                   {top.x - half, top.y + high}},
                  pen.At(z, pen.random.Near({{35, 35, 35}, {40, 60, 45}})), kSign);
  const int on = pen.random.Below(3);
  const Colour lamps[] = {{60, 60, 230}, {60, 180, 235}, {120, 220, 90}};
  for (int i = 0; i < 3; ++i) {
    const cv::Point2f centre(top.x, top.y + high * (0.2f + 0.3f * static_cast<float>(i)));
    pen.canvas.Fill(EllipsePolygon(centre, 0.1f * metre, 0.1f * metre, 10),
                    pen.At(z, lamps[i] * (i == on ? 1.f : 0.3f)), kSign);
  }
}

void DrawBoard(const ScenePen& pen, cv::Point2f centre, float metre, double z) {
  SceneRandom& random = pen.random;
  const auto radius = metre * static_cast<float>(random.Uniform(0.32, 0.55));
  const Colour rim =
      random.Near({{40, 40, 190}, {160, 70, 30}, {200, 200, 200}, {40, 170, 210}, {70, 110, 40}});
  const Colour face = random.Near({{205, 210, 210}, {40, 40, 180}, {170, 80, 40}, {50, 50, 50}});
  const int shape = random.Below(4);
  const auto plate = [&](float r) -> Polygon {
    if (shape == 0) return EllipsePolygon(centre, r, r, 18);
    if (shape == 1) {
      return {{centre.x, centre.y - r},
              {centre.x + r, centre.y + 0.75f * r},
              {centre.x - r, centre.y + 0.75f * r}};
    }
    const float wide = shape == 2 ? r : 1.5f * r, high = shape == 2 ? 1.2f * r : 0.7f * r;
    return {{centre.x - wide, centre.y - high},
            {centre.x + wide, centre.y - high},
            {centre.x + wide, centre.y + high},
            {centre.x - wide, centre.y + high}};
  };
  pen.canvas.Fill(plate(radius), pen.At(z, rim), kSign);
  pen.canvas.Fill(plate(radius * 0.72f), pen.At(z, face), kSign);
  pen.canvas.Line({centre.x - radius * 0.35f, centre.y}, {centre.x + radius * 0.35f, centre.y},
                  radius * 0.25f, pen.At(z, rim * 0.6f), kSign);
}

}  // namespace

void DrawTree(const ScenePen& pen, double x, double z) {
  pen.canvas.BeginObject();
  SceneRandom& random = pen.random;
  const double trunk = random.Uniform(1.2, 3), size = random.Uniform(1.4, 3);
  const float metre = pen.camera.focal / static_cast<float>(z);
  const cv::Point2f foot = pen.camera(x, 0, z), crown = pen.camera(x, trunk + size * 0.8, z);
  // Bark has the greys and browns of poles and fences.
  pen.canvas.Line(foot, crown, Thickness(pen, random.Uniform(0.2, 0.45), z),
                  pen.At(z, random.Near({{60, 75, 90}, {75, 80, 82}}), 0.2f, 0), kTree);
  const Colour leaf =
      random.Near({{45, 95, 60}, {40, 70, 50}, {50, 120, 115}, {50, 95, 140}, {70, 90, 85}});
  const auto radius = metre * static_cast<float>(size);
  for (int i = 6 + random.Below(7); i > 0; --i) {
    const cv::Point2f offset(static_cast<float>(random.Uniform(-0.65, 0.65)) * radius,
                             static_cast<float>(random.Uniform(-0.75, 0.5)) * radius);
    Paint paint = pen.At(z, leaf * static_cast<float>(random.Uniform(0.65, 1.3)), 0.45f,
                         random.Below(2) + (metre > 40 ? 1 : 0));
    paint.foot_shade = 0.65f;
    const auto wide = radius * static_cast<float>(random.Uniform(0.3, 0.6));
    pen.canvas.Fill(Leaves(random, crown + offset, wide, wide * 0.8f), paint, kTree);
  }
}

void DrawPole(const ScenePen& pen, double x, double z, double arm) {
  pen.canvas.BeginObject();
  SceneRandom& random = pen.random;
  const double height = random.Uniform(3.5, 8), out = random.Uniform(0.6, 1.8) * arm;
  const Paint paint =
      pen.At(z, random.Near({{85, 88, 90}, {130, 132, 132}, {50, 60, 55}, {55, 75, 100}}));
  pen.canvas.Line(pen.camera(x, 0, z), pen.camera(x, height, z),
                  Thickness(pen, random.Uniform(0.12, 0.24), z), paint, kPole);
  if (arm == 0) return;
  pen.canvas.Line(pen.camera(x, height, z), pen.camera(x + out, height + 0.2, z),
                  Thickness(pen, 0.09, z), paint, kPole);
  pen.canvas.Line(pen.camera(x + out * 0.7, height + 0.15, z), pen.camera(x + out, height + 0.2, z),
                  Thickness(pen, 0.2, z), paint, kPole);
}

void DrawSign(const ScenePen& pen, double x, double z) {
  pen.canvas.BeginObject();
  SceneRandom& random = pen.random;
  const double height = random.Uniform(2.1, 3.2);
  const float metre = pen.camera.focal / static_cast<float>(z);
  pen.canvas.Line(pen.camera(x, 0, z), pen.camera(x, height, z), Thickness(pen, 0.08, z),
                  pen.At(z, random.Near({{110, 112, 112}, {60, 62, 64}})), kPole);
  const cv::Point2f top = pen.camera(x, height, z);
  if (random.Chance(0.3)) {
    DrawTrafficLight(pen, top, metre * 1.15f, z);
    return;
  }
  DrawBoard(pen, top, metre, z);
  if (random.Chance(0.25)) DrawBoard(pen, {top.x, top.y + 0.9f * metre}, metre * 0.8f, z);
}

void DrawBin(const ScenePen& pen, double x, double z) {
  pen.canvas.BeginObject();
  const SceneCamera& at = pen.camera;
  const double half = pen.random.Uniform(0.2, 0.45), height = pen.random.Uniform(0.7, 1.2);
  pen.canvas.Fill({at(x - half, 0, z), at(x - half * 1.1, height, z), at(x + half * 1.1, height, z),
                   at(x + half, 0, z)},
                  pen.At(z, pen.random.Any(), 0.15f, 1), kVoid);
  pen.canvas.Line(at(x - half * 1.2, height, z), at(x + half * 1.2, height, z),
                  Thickness(pen, 0.1, z), pen.At(z, pen.random.Any()), kVoid);
}

}  // namespace reflux
