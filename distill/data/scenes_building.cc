// Buildings and fences (scenes_objects.h).
#include <algorithm>
#include <cmath>

#include "distill/data/scenes_objects.h"

namespace reflux {
namespace {

// A wall: u runs along it from 0 to `length`, v up from 0 to `height`, in metres.
struct Wall {
  std::function<cv::Point2f(double u, double v)> at;
  std::function<double(double u)> depth;
  double length = 0, height = 0;

  Polygon Patch(double u0, double u1, double v0, double v1) const {
    Polygon patch;
    constexpr int kSteps = 4;  // walls follow the street's bend
    for (int i = 0; i <= kSteps; ++i) patch.push_back(at(u0 + (u1 - u0) * i / kSteps, v0));
    for (int i = kSteps; i >= 0; --i) patch.push_back(at(u0 + (u1 - u0) * i / kSteps, v1));
    return patch;
  }
};

struct Facade {
  Colour wall, window, frame;
  double floor = 3, pitch = 2.5, window_width = 1.1, window_height = 1.5;
  bool shop = false;
  Colour board;
  float brightness = 1;
};

Facade DrawFacadeStyle(SceneRandom& random) {
  Facade facade;
  facade.wall = random.Near({{70, 80, 140},
                             {60, 75, 115},
                             {110, 112, 115},
                             {95, 95, 98},
                             {165, 185, 200},
                             {205, 210, 210},
                             {130, 160, 185},
                             {150, 130, 110}});
  facade.window = random.Near({{60, 55, 50}, {90, 80, 70}, {160, 140, 120}});
  facade.frame = random.Near({{190, 195, 195}, {60, 65, 75}});
  facade.floor = random.Uniform(2.7, 3.6);
  facade.pitch = random.Uniform(1.8, 3.6);
  facade.window_width = facade.pitch * random.Uniform(0.35, 0.7);
  facade.window_height = facade.floor * random.Uniform(0.4, 0.65);
  facade.shop = random.Chance(0.4);
  facade.board = random.Any();
  return facade;
}

void DrawShopFront(const ScenePen& pen, const Wall& wall, const Facade& facade) {
  const double z = wall.depth(wall.length / 2);
  pen.canvas.Fill(wall.Patch(0.3, wall.length - 0.3, 0.4, 2.3),
                  pen.At(z, facade.window * facade.brightness, 0.35f, 2), kBuilding);
  // Boards and posters have the colours of signs and cars, but belong to the building.
  pen.canvas.Fill(wall.Patch(0.2, wall.length - 0.2, 2.35, 3.0),
                  pen.At(z, facade.board * facade.brightness, 0.1f, 1), kBuilding);
  for (double u = 0.8; u + 1 < wall.length; u += pen.random.Uniform(1.5, 4)) {
    pen.canvas.Fill(wall.Patch(u, u + 0.7, 0.9, 1.9),
                    pen.At(z, pen.random.Any() * facade.brightness, 0.15f, 1), kBuilding);
  }
}

void DrawWall(const ScenePen& pen, const Wall& wall, const Facade& facade) {
  const double middle = wall.depth(wall.length / 2);
  Paint paint = pen.At(middle, facade.wall * facade.brightness, 0.14f, pen.random.Below(3));
  paint.foot_shade = 0.85f;
  pen.canvas.Fill(wall.Patch(0, wall.length, 0, wall.height), paint, kBuilding);
  const double margin = (facade.floor - facade.window_height) / 2;
  for (double v = facade.shop ? 3.2 : 0.3; v + facade.floor <= wall.height; v += facade.floor) {
    for (double u = 0.4; u + facade.window_width < wall.length - 0.2; u += facade.pitch) {
      const double z = wall.depth(u);
      const double v0 = v + margin, v1 = v0 + facade.window_height, u1 = u + facade.window_width;
      pen.canvas.Fill(wall.Patch(u - 0.12, u1 + 0.12, v0 - 0.12, v1 + 0.12),
                      pen.At(z, facade.frame * facade.brightness), kBuilding);
      const auto glass = static_cast<float>(pen.random.Uniform(0.7, 1.3));
      pen.canvas.Fill(wall.Patch(u, u1, v0, v1),
                      pen.At(z, facade.window * (glass * facade.brightness), 0.3f, 2), kBuilding);
    }
  }
  if (facade.shop) {
    DrawShopFront(pen, wall, facade);
  } else if (wall.length > 4) {
    const double u = pen.random.Uniform(1, wall.length - 2);
    pen.canvas.Fill(wall.Patch(u, u + 1, 0, 2.1),
                    pen.At(wall.depth(u), facade.board * facade.brightness), kBuilding);
  }
}

// A ridge along the street: the slope that faces it, and the gable at the end.
void DrawRoof(const ScenePen& pen, const StreetPlan::Side& side, double near, double far,
              double height, Colour gable) {
  const double rise = pen.random.Uniform(1.5, 4), x = side.facade(), ridge = x + side.sign * 5;
  const Colour tiles = pen.random.Near({{55, 60, 110}, {70, 70, 75}, {95, 90, 85}});
  const SceneCamera& at = pen.camera;
  pen.canvas.Fill({at(x, height, near), at(x, height, far), at(ridge, height + rise, far),
                   at(ridge, height + rise, near)},
                  pen.At((near + far) / 2, tiles, 0.15f, 1), kBuilding);
  pen.canvas.Fill({at(x, height, near), at(ridge, height + rise, near),
                   at(ridge + side.sign * 5, height, near)},
                  pen.At(near, gable, 0.14f, 1), kBuilding);
}

}  // namespace

void DrawBuilding(const ScenePen& pen, const StreetPlan::Side& side, double near, double far,
                  bool lit) {
  pen.canvas.BeginObject();
  Facade facade = DrawFacadeStyle(pen.random);
  const double height = pen.random.Uniform(5, 17), x = side.facade();
  const SceneCamera& camera = pen.camera;
  if (near > kNearest + 1) {  // the end that faces the camera
    if (pen.random.Chance(0.5)) DrawRoof(pen, side, near, far, height, facade.wall * 0.85f);
    const Wall end{[&, near](double u, double v) { return camera(x + side.sign * u, v, near); },
                   [near](double) { return near; }, 10, height};
    facade.brightness = lit ? 0.8f : 0.95f;
    DrawWall(pen, end, facade);
  }
  const Wall front{[&, near](double u, double v) { return camera(x, v, near + u); },
                   [near](double u) { return near + u; }, far - near, height};
  facade.brightness = lit ? 1.1f : 0.68f;
  DrawWall(pen, front, facade);
}

FenceStyle DrawFenceStyle(SceneRandom& random) {
  FenceStyle style;
  style.kind = random.Below(4);
  style.height = static_cast<float>(random.Uniform(0.9, 1.9));
  style.colour = random.Near(
      {{60, 62, 65}, {60, 90, 130}, {130, 130, 128}, {70, 85, 125}, {190, 195, 195}, {50, 85, 60}});
  return style;
}

void DrawFence(const ScenePen& pen, double x, double near, double far, const FenceStyle& style) {
  pen.canvas.BeginObject();
  const SceneCamera& at = pen.camera;
  const double middle = (near + far) / 2, height = style.height;
  const Polygon whole = {at(x, 0, near),     at(x, 0, middle),      at(x, 0, far),
                         at(x, height, far), at(x, height, middle), at(x, height, near)};
  Paint paint = pen.At(middle, style.colour, 0.15f, 1);
  constexpr float kOpacity[] = {0.1f, 1, 0.45f, 1};
  paint.opacity = kOpacity[style.kind];
  pen.canvas.Fill(whole, paint, kFence);
  paint.opacity = 1;
  const auto thick = [&](double metres, double z) {
    return std::max(0.6f, static_cast<float>(metres) * at.focal / static_cast<float>(z));
  };
  if (style.kind == 3) {  // brick courses
    paint.colour *= 0.75f;
    for (double y = 0.2; y < height; y += 0.2) {
      pen.canvas.Line(at(x, y, near), at(x, y, far), thick(0.02, middle), paint, kFence);
    }
    return;
  }
  if (style.kind == 1) paint.colour *= 0.7f;
  const double pitch = style.kind == 2 ? 2 : 0.28;
  for (double z = near; z < std::min(far, 45.0); z += pitch) {
    pen.canvas.Line(at(x, 0, z), at(x, height, z), thick(style.kind == 2 ? 0.08 : 0.045, z), paint,
                    kFence);
  }
  for (const double y : {0.15, height - 0.03}) {
    pen.canvas.Line(at(x, y, near), at(x, y, far), thick(0.05, middle), paint, kFence);
  }
}

}  // namespace reflux
