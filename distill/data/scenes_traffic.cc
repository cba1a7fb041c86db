// Cars, pedestrians and bicyclists (scenes_objects.h).
#include <algorithm>
#include <cmath>

#include "distill/data/scenes_objects.h"

namespace reflux {
namespace {

// Shape of a car: lengths in metres, along from the face that the camera sees.
struct CarShape {
  double length = 4.2, half_width = 0.88, belt = 0.85, roof = 1.45;
  double cabin_begin = 0.3, cabin_end = 3.0;
};

CarShape DrawCarShape(SceneRandom& random) {
  CarShape shape;
  if (random.Chance(0.25)) {  // a van
    shape = {random.Uniform(4.6, 5.5), 0.98, 1.1, random.Uniform(1.9, 2.3), 0, 4.0};
  } else {
    shape.length = random.Uniform(3.6, 4.7);
    shape.roof = random.Uniform(1.38, 1.6);
    shape.cabin_begin = random.Uniform(0, 0.7);
    shape.cabin_end = shape.length - random.Uniform(1.0, 1.6);
  }
  return shape;
}

Colour Glass(SceneRandom& random) { return random.Near({{55, 50, 45}, {110, 95, 85}}); }

using At = std::function<cv::Point2f(double along, double up)>;

void DrawWheel(const ScenePen& pen, const At& at, double along, double z) {
  constexpr double kRadius = 0.32;
  Polygon tyre, hub;
  for (int i = 0; i < 14; ++i) {
    const double c = std::cos(2 * M_PI * i / 14), s = std::sin(2 * M_PI * i / 14);
    tyre.push_back(at(along + kRadius * c, kRadius + kRadius * s));
    hub.push_back(at(along + 0.55 * kRadius * c, kRadius + 0.55 * kRadius * s));
  }
  pen.canvas.Fill(tyre, pen.At(z, {35, 35, 35}), kCar);
  pen.canvas.Fill(hub, pen.At(z, {120, 120, 120}), kCar);
}

void DrawFlank(const ScenePen& pen, const CarShape& car, const At& at, Colour body, double z) {
  Paint paint = pen.At(z, body, 0.06f, 2);
  paint.foot_shade = 0.7f;
  const double begin = car.cabin_begin, end = car.cabin_end;
  pen.canvas.Fill({at(0, 0.25), at(0, car.belt), at(begin, car.belt), at(begin + 0.4, car.roof),
                   at(end - 0.7, car.roof), at(end, car.belt), at(car.length, car.belt - 0.15),
                   at(car.length, 0.25)},
                  paint, kCar);
  const double low = car.belt + 0.05, high = car.roof - 0.1;
  pen.canvas.Fill(
      {at(begin + 0.25, low), at(begin + 0.5, high), at(end - 0.8, high), at(end - 0.25, low)},
      pen.At(z, Glass(pen.random), 0.3f, 2), kCar);
  DrawWheel(pen, at, 0.75, z);
  DrawWheel(pen, at, car.length - 0.75, z);
}

// The end towards the camera; `at`'s first coordinate runs across, 0 in the middle.
void DrawCarEnd(const ScenePen& pen, const CarShape& car, const At& at, Colour body, double z) {
  const double w = car.half_width, in = w * 0.8;
  Paint paint = pen.At(z, body * 0.85f, 0.06f, 2);
  paint.foot_shade = 0.75f;
  for (const double side : {-1.0, 1.0}) {
    pen.canvas.Fill(
        {at(side * w, 0), at(side * w, 0.3), at(side * w * 0.7, 0.3), at(side * w * 0.7, 0)},
        pen.At(z, {30, 30, 30}), kCar);
  }
  pen.canvas.Fill({at(-w, 0.25), at(-w, car.belt), at(-in, car.roof), at(in, car.roof),
                   at(w, car.belt), at(w, 0.25)},
                  paint, kCar);
  pen.canvas.Fill({at(-w * 0.85, car.belt + 0.05), at(-in * 0.85, car.roof - 0.1),
                   at(in * 0.85, car.roof - 0.1), at(w * 0.85, car.belt + 0.05)},
                  pen.At(z, Glass(pen.random), 0.3f, 2), kCar);
  const Colour lamp = pen.random.Chance(0.6) ? Colour(40, 40, 200) : Colour(225, 235, 235);
  for (const double side : {-1.0, 1.0}) {
    pen.canvas.Fill({at(side * w * 0.95, 0.6), at(side * w * 0.95, 0.8), at(side * w * 0.65, 0.8),
                     at(side * w * 0.65, 0.6)},
                    pen.At(z, lamp), kCar);
  }
  pen.canvas.Fill({at(-0.26, 0.45), at(-0.26, 0.57), at(0.26, 0.57), at(0.26, 0.45)},
                  pen.At(z, {200, 205, 205}), kCar);
}

struct Clothes {
  Colour coat, trousers, skin, hair;
};

Clothes DrawClothes(SceneRandom& random) {
  return {random.Any(), random.Near({{50, 45, 40}, {110, 70, 45}, {80, 85, 90}, {60, 80, 100}}),
          random.Near({{130, 160, 205}, {90, 120, 170}, {50, 70, 105}}),
          random.Near({{30, 35, 45}, {60, 90, 120}, {110, 115, 120}})};
}

void DrawHead(const ScenePen& pen, cv::Point2f centre, float radius, const Clothes& clothes,
              double z, SceneClass label) {
  pen.canvas.Fill(EllipsePolygon(centre, radius * 0.85f, radius, 12), pen.At(z, clothes.skin),
                  label);
  pen.canvas.Fill(
      EllipsePolygon({centre.x, centre.y - radius * 0.45f}, radius * 0.9f, radius * 0.65f, 12),
      pen.At(z, clothes.hair), label);
}

// A bicycle's wheel: the disc belongs to the class, only the tyre is seen.
void DrawBicycleWheel(const ScenePen& pen, cv::Point2f centre, float radius, double z) {
  Paint glimpse = pen.At(z, {60, 60, 60});
  glimpse.opacity = 0.15f;
  pen.canvas.Fill(EllipsePolygon(centre, radius, radius, 18), glimpse, kBicyclist);
  const Polygon rim = EllipsePolygon(centre, radius * 0.92f, radius * 0.92f, 18);
  for (size_t i = 0; i < rim.size(); ++i) {
    pen.canvas.Line(rim[i], rim[(i + 1) % rim.size()], std::max(1.f, radius * 0.16f),
                    pen.At(z, {35, 35, 35}), kBicyclist);
  }
}

}  // namespace

void DrawCar(const ScenePen& pen, double x, double z) {
  pen.canvas.BeginObject();
  const CarShape car = DrawCarShape(pen.random);
  const Colour body = pen.random.Any();
  const SceneCamera& camera = pen.camera;
  const double left = x - car.half_width, right = x + car.half_width;
  pen.canvas.Shade({camera(left - 0.15, 0, z - 0.2), camera(left - 0.15, 0, z + car.length),
                    camera(right + 0.15, 0, z + car.length), camera(right + 0.15, 0, z - 0.2)},
                   0.45f);
  // The flank towards the camera's path is the visible one.
  const double bent = x + camera.bend * z * z;
  if (std::abs(bent) > car.half_width) {
    const double flank = bent > 0 ? left : right;
    DrawFlank(
        pen, car, [&](double a, double up) { return camera(flank, up, z + a); }, body, z + 1);
  }
  DrawCarEnd(
      pen, car, [&](double across, double up) { return camera(x + across, up, z); }, body, z);
}

void DrawCrossingCar(const ScenePen& pen, double x, double z) {
  pen.canvas.BeginObject();
  const CarShape car = DrawCarShape(pen.random);
  const double sign = pen.random.Sign();
  const SceneCamera& camera = pen.camera;
  const auto at = [&](double along, double up) {
    return camera(x + sign * (along - car.length / 2), up, z);
  };
  pen.canvas.Shade(
      {at(-0.1, 0.08), at(car.length + 0.1, 0.08), at(car.length + 0.1, -0.03), at(-0.1, -0.03)},
      0.45f);
  DrawFlank(pen, car, at, pen.random.Any(), z);
}

void DrawPedestrian(const ScenePen& pen, double x, double z) {
  pen.canvas.BeginObject();
  SceneRandom& random = pen.random;
  const double tall = random.Chance(0.15) ? random.Uniform(1.0, 1.3) : random.Uniform(1.55, 1.9);
  const auto size = static_cast<float>(tall) * pen.camera.focal / static_cast<float>(z);
  const cv::Point2f foot = pen.camera(x, 0, z);
  const auto at = [&](double across, double up) {
    return foot + cv::Point2f(static_cast<float>(across), -static_cast<float>(up)) * size;
  };
  const Clothes clothes = DrawClothes(random);
  const double stride = random.Uniform(0, 0.13);
  const Paint trousers = pen.At(z, clothes.trousers, 0.1f, 1);
  pen.canvas.Line(at(-stride, 0), at(-0.03, 0.5), 0.1f * size, trousers, kPedestrian);
  pen.canvas.Line(at(stride, 0), at(0.03, 0.5), 0.1f * size, trousers, kPedestrian);
  const Paint coat = pen.At(z, clothes.coat, 0.12f, 1);
  const double hem = random.Uniform(0.3, 0.5);
  pen.canvas.Fill({at(-0.11, hem), at(-0.13, 0.8), at(-0.06, 0.86), at(0.06, 0.86), at(0.13, 0.8),
                   at(0.11, hem)},
                  coat, kPedestrian);
  const double swing = random.Uniform(-0.1, 0.1);
  Paint sleeve = coat;
  sleeve.colour *= 0.8f;
  pen.canvas.Line(at(-0.13, 0.8), at(-0.15 + swing, 0.47), 0.055f * size, sleeve, kPedestrian);
  pen.canvas.Line(at(0.13, 0.8), at(0.15 - swing, 0.47), 0.055f * size, sleeve, kPedestrian);
  DrawHead(pen, at(0, 0.925), 0.07f * size, clothes, z, kPedestrian);
}

void DrawBicyclist(const ScenePen& pen, double x, double z) {
  pen.canvas.BeginObject();
  SceneRandom& random = pen.random;
  const float metre = pen.camera.focal / static_cast<float>(z);
  const cv::Point2f foot = pen.camera(x, 0, z);
  const bool from_side = random.Chance(0.45);
  const double way = random.Sign();
  const auto at = [&](double across, double up) {
    return foot + cv::Point2f(static_cast<float>(across * way), -static_cast<float>(up)) * metre;
  };
  const Clothes clothes = DrawClothes(random);
  const Paint frame = pen.At(z, random.Any());
  const Paint coat = pen.At(z, clothes.coat, 0.12f, 1);
  const Paint trousers = pen.At(z, clothes.trousers, 0.1f, 1);
  const auto limb = [&](cv::Point2f a, cv::Point2f b, double thick, const Paint& paint) {
    pen.canvas.Line(a, b, std::max(1.2f, static_cast<float>(thick) * metre), paint, kBicyclist);
  };
  if (from_side) {
    DrawBicycleWheel(pen, at(-0.52, 0.35), 0.35f * metre, z);
    DrawBicycleWheel(pen, at(0.52, 0.35), 0.35f * metre, z);
    limb(at(-0.52, 0.35), at(-0.15, 0.85), 0.06, frame);
    limb(at(-0.15, 0.8), at(0.4, 0.8), 0.06, frame);
    limb(at(0.52, 0.35), at(0.38, 1.0), 0.06, frame);
    limb(at(0, 0.35), at(0.38, 0.8), 0.06, frame);
    limb(at(-0.12, 0.95), at(0.2, 0.65), 0.17, trousers);
    limb(at(0.2, 0.65), at(0.02, 0.25), 0.13, trousers);
    limb(at(-0.15, 0.9), at(0.12, 1.45), 0.34, coat);
    limb(at(0.15, 1.38), at(0.42, 1.02), 0.1, coat);
    DrawHead(pen, at(0.22, 1.65), 0.14f * metre, clothes, z, kBicyclist);
    return;
  }
  limb(at(0, 0), at(0, 0.75), 0.08, pen.At(z, {35, 35, 35}));
  limb(at(-0.3, 1.0), at(0.3, 1.0), 0.05, frame);
  limb(at(-0.14, 0.9), at(-0.15, 0.2), 0.14, trousers);
  limb(at(0.14, 0.9), at(0.15, 0.4), 0.14, trousers);
  pen.canvas.Fill(
      {at(-0.17, 0.85), at(-0.24, 1.4), at(-0.1, 1.5), at(0.1, 1.5), at(0.24, 1.4), at(0.17, 0.85)},
      coat, kBicyclist);
  limb(at(-0.22, 1.38), at(-0.3, 1.0), 0.1, coat);
  limb(at(0.22, 1.38), at(0.3, 1.0), 0.1, coat);
  DrawHead(pen, at(0, 1.66), 0.14f * metre, clothes, z, kBicyclist);
}

}  // namespace reflux
