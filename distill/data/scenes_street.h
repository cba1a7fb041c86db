// The street of a generated scene: camera, ground, and what lines it (scenes.h).
#pragma once

#include <functional>
#include <vector>

#include "distill/data/scenes_canvas.h"

namespace reflux {

// Metres to pixels. x to the right of the camera's path, y above the ground, z ahead.
struct SceneCamera {
  float focal = 0;                // pixels
  float horizon = 0, centre = 0;  // vanishing point, pixels
  float height = 1.5f;            // metres
  float bend = 0;                 // the street's sideways shift at z is bend * z * z

  cv::Point2f operator()(double x, double y, double z) const {
    const auto depth = static_cast<float>(z);
    const float sideways = static_cast<float>(x) + bend * depth * depth;
    return {centre + focal * sideways / depth,
            horizon + focal * (height - static_cast<float>(y)) / depth};
  }
};

// Where things stand, in metres; `left` and `right` are distances from the camera's path.
struct StreetPlan {
  struct Side {
    float sign = 1;  // -1 left, 1 right
    float road = 4, pavement = 2, setback = 0;
    bool grass = false;  // the setback is planted, otherwise paved
    float kerb() const { return sign * road; }
    float pavement_end() const { return sign * (road + pavement); }
    float facade() const { return sign * (road + pavement + setback); }
  };
  Side left{.sign = -1}, right{.sign = 1};
  Colour asphalt, paving, grass;
  float sun = 1;  // side the light comes from: -1 left, 1 right
};

// What the drawing functions share.
struct ScenePen {
  SceneCanvas& canvas;
  const SceneCamera& camera;
  SceneRandom& random;

  // Paint seen at distance z: haze grows with it.
  Paint At(double z, Colour colour, float rough = 0.08f, int grain = 1) const;
};

// Something upright; drawn from far to near.
struct SceneThing {
  float depth = 0;
  std::function<void()> draw;
};

constexpr float kNearest = 2, kFarthest = 140;  // metres

StreetPlan PlanStreet(SceneRandom& random);
void DrawSkyline(const ScenePen& pen);
void DrawGround(const ScenePen& pen, const StreetPlan& plan);
// Buildings, gaps with trees, fences and hedges along one side.
std::vector<SceneThing> LineStreet(const ScenePen& pen, const StreetPlan& plan,
                                   const StreetPlan::Side& side);

}  // namespace reflux
