#include "distill/data/scenes_street.h"

#include <algorithm>
#include <cmath>

#include "distill/data/scenes_objects.h"

namespace reflux {
namespace {

// The strip of ground between two lines along the street.
Polygon Strip(const SceneCamera& camera, double x0, double x1, double z0, double z1) {
  constexpr int kSteps = 16;
  Polygon strip;
  for (int i = 0; i <= kSteps; ++i) {
    strip.push_back(camera(x0, 0, z0 * std::pow(z1 / z0, double(i) / kSteps)));
  }
  for (int i = kSteps; i >= 0; --i) {
    strip.push_back(camera(x1, 0, z0 * std::pow(z1 / z0, double(i) / kSteps)));
  }
  return strip;
}

StreetPlan::Side PlanSide(float sign, SceneRandom& random) {
  StreetPlan::Side side{.sign = sign};
  // The camera drives on one side of the road: its path is not the middle.
  side.road = static_cast<float>(sign > 0 ? random.Uniform(2.2, 4.2) : random.Uniform(4.5, 8.5));
  side.pavement = static_cast<float>(random.Uniform(1.6, 4));
  side.setback = random.Chance(0.5) ? 0.f : static_cast<float>(random.Uniform(1.5, 6));
  side.grass = random.Chance(0.6);
  return side;
}

void DrawPavement(const ScenePen& pen, const StreetPlan& plan, const StreetPlan::Side& side) {
  const SceneCamera& camera = pen.camera;
  const Paint ground = pen.At(10, side.grass ? plan.grass : plan.paving * 0.92f, 0.22f, 1);
  pen.canvas.Fill(Strip(camera, side.pavement_end(), side.sign * 200, kNearest, kFarthest), ground,
                  side.grass ? kTree : kPavement);
  pen.canvas.Fill(Strip(camera, side.kerb(), side.pavement_end(), kNearest, kFarthest),
                  pen.At(10, plan.paving, 0.12f, 1), kPavement);
  const Paint joint = pen.At(10, plan.paving * 0.75f);
  const double slab = pen.random.Uniform(0.8, 2);
  for (double z = 3; z < 22; z += slab) {
    const float thick = std::max(0.5f, 0.02f * pen.camera.focal / static_cast<float>(z));
    pen.canvas.Line(camera(side.kerb(), 0, z), camera(side.pavement_end(), 0, z), thick, joint,
                    kPavement);
  }
  const double edge = side.kerb() - side.sign * 0.15;
  pen.canvas.Fill(Strip(camera, edge, side.kerb(), kNearest, kFarthest),
                  pen.At(10, plan.paving * (pen.random.Chance(0.5) ? 1.25f : 0.8f)), kPavement);
}

void DrawMarkings(const ScenePen& pen, const StreetPlan& plan) {
  SceneRandom& random = pen.random;
  const Colour white = random.Near({{190, 195, 195}, {120, 185, 200}});
  const double middle = (plan.left.kerb() + plan.right.kerb()) / 2;
  const auto stripe = [&](double x, double z0, double z1, double width) {
    Paint paint = pen.At(z0, white, 0.2f, 1);
    paint.opacity = 0.8f;
    pen.canvas.Fill(Strip(pen.camera, x - width / 2, x + width / 2, z0, z1), paint, kRoad);
  };
  if (random.Chance(0.8)) {
    const double dash = random.Uniform(1.5, 4), gap = random.Uniform(1.5, 5);
    for (double z = random.Uniform(2, 5); z < 60; z += dash + gap)
      stripe(middle, z, z + dash, 0.16);
  }
  if (random.Chance(0.5)) {
    for (const auto* side : {&plan.left, &plan.right}) {
      stripe(side->kerb() - side->sign * random.Uniform(0.3, 2.2), kNearest, 80, 0.12);
    }
  }
  if (random.Chance(0.25)) {  // a crossing
    const double z = random.Uniform(7, 18);
    for (double x = plan.left.kerb() + 0.4; x < plan.right.kerb() - 0.4; x += 1.1) {
      stripe(x + 0.25, z, z + 2.5, 0.5);
    }
  }
}

void DrawPatches(const ScenePen& pen, const StreetPlan& plan) {
  SceneRandom& random = pen.random;
  for (int i = random.Below(4); i > 0; --i) {  // mended asphalt
    const double x = random.Uniform(plan.left.kerb(), plan.right.kerb() - 1);
    const double z = random.Uniform(3, 20);
    Paint paint = pen.At(z, plan.asphalt * float(random.Uniform(0.7, 1.25)), 0.1f, 0);
    paint.opacity = 0.7f;
    pen.canvas.Fill(Strip(pen.camera, x, x + random.Uniform(0.5, 1), z, z + random.Uniform(1, 8)),
                    paint, kRoad);
  }
}

}  // namespace

Paint ScenePen::At(double z, Colour colour, float rough, int grain) const {
  Paint paint{.colour = colour, .rough = rough, .grain = grain};
  paint.haze = 1 - std::exp(-static_cast<float>(z) / 260);
  return paint;
}

StreetPlan PlanStreet(SceneRandom& random) {
  StreetPlan plan;
  plan.left = PlanSide(-1, random);
  plan.right = PlanSide(1, random);
  // Any of the greys may be road here and pavement there.
  plan.asphalt = random.Near({{95, 95, 95}, {115, 112, 108}, {80, 82, 88}, {105, 115, 125}});
  plan.paving = random.Near({{110, 112, 115}, {135, 140, 145}, {90, 92, 95}, {110, 125, 145}});
  plan.grass = random.Near({{50, 110, 75}, {60, 120, 110}, {45, 80, 60}});
  plan.sun = static_cast<float>(random.Sign());
  return plan;
}

void DrawSkyline(const ScenePen& pen) {
  SceneRandom& random = pen.random;
  const auto width = static_cast<float>(pen.canvas.width());
  const float base = pen.camera.horizon + 2;
  for (float x = 0; x < width;) {
    const auto wide = width * static_cast<float>(random.Uniform(0.03, 0.15));
    const auto high = width * static_cast<float>(random.Uniform(0.01, 0.07));
    if (random.Chance(0.5)) {
      const Paint paint = pen.At(120, random.Near({{60, 90, 65}, {50, 75, 70}}), 0.2f, 1);
      pen.canvas.Fill(EllipsePolygon({x + wide / 2, base}, wide * 0.7f, high), paint, kTree);
    } else {
      const Paint paint = pen.At(120, random.Near({{120, 125, 130}, {80, 95, 130}}), 0.1f, 2);
      pen.canvas.Fill({{x, base}, {x, base - high}, {x + wide, base - high}, {x + wide, base}},
                      paint, kBuilding);
    }
    x += wide;
  }
}

void DrawGround(const ScenePen& pen, const StreetPlan& plan) {
  const auto width = static_cast<float>(pen.canvas.width());
  const auto height = static_cast<float>(pen.canvas.height());
  const float horizon = pen.camera.horizon;
  pen.canvas.Fill({{0, horizon}, {width, horizon}, {width, height}, {0, height}},
                  pen.At(60, plan.paving, 0.1f, 1), kPavement);
  DrawPavement(pen, plan, plan.left);
  DrawPavement(pen, plan, plan.right);
  pen.canvas.Fill(
      Strip(pen.camera, plan.left.kerb() + 0.15, plan.right.kerb() - 0.15, kNearest, kFarthest),
      pen.At(10, plan.asphalt, 0.12f, pen.random.Below(2)), kRoad);
  DrawPatches(pen, plan);
  DrawMarkings(pen, plan);
  // The buildings of the sunny side throw their shadow over the street.
  if (pen.random.Chance(0.6)) {
    const StreetPlan::Side& side = plan.sun < 0 ? plan.left : plan.right;
    const double reach = side.facade() - side.sign * pen.random.Uniform(2, 9);
    const double begin = pen.random.Uniform(2, 8), end = begin * pen.random.Uniform(2, 12);
    pen.canvas.Shade(Strip(pen.camera, side.facade(), reach, begin, std::min(end, 130.0)), 0.6f);
  }
}

std::vector<SceneThing> LineStreet(const ScenePen& pen, const StreetPlan& plan,
                                   const StreetPlan::Side& side) {
  SceneRandom& random = pen.random;
  std::vector<SceneThing> things;
  const bool fenced = side.setback > 0 && random.Chance(0.6);
  const FenceStyle fence = DrawFenceStyle(random);
  for (double z = random.Uniform(-4, 4); z < 110;) {
    const double length = random.Uniform(7, 24);
    const double near = std::max<double>(z, kNearest), far = z + length;
    z = far;
    if (far <= kNearest + 1) continue;
    const auto depth = static_cast<float>(far);
    if (random.Chance(0.78)) {
      const bool lit = side.sign != plan.sun;
      things.push_back({depth, [=] { DrawBuilding(pen, side, near, far, lit); }});
    } else {  // a gap: trees behind a fence
      for (int i = random.Below(4); i >= 0; --i) {
        const double x = side.facade() + side.sign * random.Uniform(1, 6);
        const double tree_z = random.Uniform(std::max(near, 4.0), far + 2);
        things.push_back({static_cast<float>(tree_z), [=] { DrawTree(pen, x, tree_z); }});
      }
    }
    if ((fenced && random.Chance(0.8)) || random.Chance(0.12)) {
      const double end = far - random.Uniform(0, 3);
      if (end <= near) continue;
      things.push_back({static_cast<float>((near + end) / 2), [=] {
                          DrawFence(pen, side.pavement_end() + side.sign * 0.1, near, end, fence);
                        }});
    }
  }
  return things;
}

}  // namespace reflux
