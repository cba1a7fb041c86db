// What stands in a generated street (scenes.h). Positions in metres (SceneCamera); every function
// draws one object.
#pragma once

#include "distill/data/scenes_street.h"

namespace reflux {

struct FenceStyle {
  int kind = 0;  // 0 bars, 1 planks, 2 wire mesh, 3 low wall of bricks
  float height = 1.2f;
  Colour colour;
};
FenceStyle DrawFenceStyle(SceneRandom& random);

// The house at `side`'s facade line from z = near to far; `lit`: the sun is on its front.
void DrawBuilding(const ScenePen& pen, const StreetPlan::Side& side, double near, double far,
                  bool lit);
void DrawTree(const ScenePen& pen, double x, double z);
void DrawFence(const ScenePen& pen, double x, double near, double far, const FenceStyle& style);
// A lamp post or mast; `arm` is the direction of the lamp, -1, 1 or 0 for none.
void DrawPole(const ScenePen& pen, double x, double z, double arm);
// A traffic sign, board or traffic light on its pole.
void DrawSign(const ScenePen& pen, double x, double z);
// A car or van along the street with its middle at x.
void DrawCar(const ScenePen& pen, double x, double z);
// A car across the street, seen from its side.
void DrawCrossingCar(const ScenePen& pen, double x, double z);
void DrawPedestrian(const ScenePen& pen, double x, double z);
// Somebody on a bicycle, from the side or from behind.
void DrawBicyclist(const ScenePen& pen, double x, double z);
// A bin or box: void.
void DrawBin(const ScenePen& pen, double x, double z);

}  // namespace reflux
