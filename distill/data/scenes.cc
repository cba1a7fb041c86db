#include "distill/data/scenes.h"

#include <algorithm>
#include <cmath>
#include <opencv2/imgproc.hpp>
#include <vector>

#include "distill/data/scenes_objects.h"

namespace reflux {
namespace {

// Drawn at twice the size and averaged, which gives soft edges.
constexpr int kOversampling = 2;

SceneCamera PlaceCamera(int height, int width, SceneRandom& random) {
  SceneCamera camera;
  camera.focal = static_cast<float>(width * random.Uniform(0.75, 1.05));
  camera.horizon = static_cast<float>(height * random.Uniform(0.4, 0.54));
  camera.centre = static_cast<float>(width * random.Uniform(0.36, 0.64));
  camera.height = static_cast<float>(random.Uniform(1.3, 1.9));
  if (random.Chance(0.4)) camera.bend = static_cast<float>(random.Uniform(-0.006, 0.006));
  return camera;
}

// Distances are chosen so that far, small objects are as likely as near ones.
double Distance(SceneRandom& random, double near, double far) {
  return near * std::pow(far / near, random.Uniform(0, 1));
}

using Things = std::vector<SceneThing>;
using DrawAt = void (*)(const ScenePen&, double, double);

void Place(Things& things, const ScenePen& pen, DrawAt draw, double x, double z) {
  things.push_back({static_cast<float>(z), [=] { draw(pen, x, z); }});
}

void PlaceFurniture(Things& things, const ScenePen& pen, const StreetPlan::Side& side) {
  SceneRandom& random = pen.random;
  const double kerb = side.kerb() + side.sign * 0.35;
  if (random.Chance(0.75)) {  // lamp posts in a row
    const double gap = random.Uniform(9, 22);
    const double arm = random.Chance(0.7) ? -side.sign : 0;
    for (double z = random.Uniform(4, 12); z < 90; z += gap) {
      things.push_back({static_cast<float>(z), [=] { DrawPole(pen, kerb, z, arm); }});
    }
  }
  for (int i = random.Below(4); i > 0; --i)
    Place(things, pen, DrawSign, kerb, Distance(random, 5, 35));
  if (random.Chance(0.35)) {  // trees along the kerb
    const double gap = random.Uniform(7, 16), x = side.kerb() + side.sign * 0.8;
    for (double z = random.Uniform(6, 16); z < 80; z += gap) Place(things, pen, DrawTree, x, z);
  }
  if (random.Chance(0.3)) {
    Place(things, pen, DrawBin, side.pavement_end() - side.sign * 0.5, Distance(random, 5, 20));
  }
  if (random.Chance(0.15)) {  // a railing between pavement and road
    const double near = random.Uniform(4, 12), far = near + random.Uniform(5, 14);
    const FenceStyle style = {0, 1.05f, random.Near({{80, 82, 84}, {150, 152, 152}})};
    things.push_back(
        {static_cast<float>((near + far) / 2), [=] { DrawFence(pen, kerb, near, far, style); }});
  }
  for (int i = random.Below(4); i > 0; --i) {
    const double x = side.kerb() + side.sign * random.Uniform(0.5, side.pavement);
    Place(things, pen, DrawPedestrian, x, Distance(random, 5, 30));
  }
}

void PlaceTraffic(Things& things, const ScenePen& pen, const StreetPlan& plan) {
  SceneRandom& random = pen.random;
  for (const StreetPlan::Side* side : {&plan.left, &plan.right}) {
    if (random.Chance(0.45)) {  // parked cars
      const double x = side->kerb() - side->sign * 1.15;
      for (double z = random.Uniform(5, 14); z < 60; z += random.Uniform(5.8, 12)) {
        if (random.Chance(0.7)) Place(things, pen, DrawCar, x, z);
      }
    }
    if (random.Chance(0.45)) {
      const double x = side->kerb() - side->sign * random.Uniform(0.6, 1.6);
      Place(things, pen, DrawBicyclist, x, Distance(random, 5, 25));
    }
  }
  if (random.Chance(0.1)) {  // somebody who walks his bicycle's way on the pavement
    const double x = plan.left.kerb() - random.Uniform(0.5, 1.2);
    Place(things, pen, DrawBicyclist, x, Distance(random, 6, 20));
  }
  const double middle = (plan.left.kerb() + plan.right.kerb()) / 2;
  for (int i = random.Below(4); i > 0; --i) {
    const double x = middle + random.Sign() * random.Uniform(1.2, 2.2);
    Place(things, pen, DrawCar, x, Distance(random, 8, 60));
  }
  if (random.Chance(0.2)) {
    Place(things, pen, DrawCrossingCar, random.Uniform(-5, 5), Distance(random, 14, 45));
  }
  if (random.Chance(0.3)) {  // on foot on the road
    Place(things, pen, DrawPedestrian, random.Uniform(plan.left.kerb(), plan.right.kerb()),
          Distance(random, 8, 30));
  }
}

// Exposure, white balance, contrast, falling off towards the corners, and the sensor's noise.
void Develop(cv::Mat& image, const cv::Mat& noise, SceneRandom& random) {
  const double gain = random.Uniform(0.6, 1.25), gamma = random.Uniform(0.85, 1.2);
  const double warmth = random.Uniform(-0.1, 0.1), grain = random.Uniform(2, 8);
  const double falloff = random.Uniform(0, 0.3), fog = random.Uniform(0, 22);
  const Colour balance(float(gain * (1 - warmth)), float(gain), float(gain * (1 + warmth)));
  for (int y = 0; y < image.rows; ++y) {
    auto* row = image.ptr<Colour>(y);
    const float* grains = noise.ptr<float>(y);
    for (int x = 0; x < image.cols; ++x) {
      const double u = 2.0 * x / image.cols - 1, v = 2.0 * y / image.rows - 1;
      const double corner = 1 - falloff * (u * u + v * v) / 2;
      for (int c = 0; c < 3; ++c) {
        const double light = std::clamp(row[x][c] * balance[c] * corner / 255, 0.0, 1.0);
        row[x][c] =
            static_cast<float>(fog + (255 - fog) * std::pow(light, gamma) + grain * grains[x]);
      }
    }
  }
}

// Labellers leave the outline of some objects undecided: one pixel around them becomes void.
// Things thinner than the outline would vanish, so poles keep theirs.
void MarkVoidBorders(const cv::Mat& objects, uint64_t choice, cv::Mat& label) {
  const cv::Mat before = label.clone();
  const auto outlined = [&](int y, int x) {
    const uint16_t object = objects.at<uint16_t>(y, x);
    return object > 0 && (object * 0x9E3779B97F4A7C15ULL + choice) >> 62 == 0 &&
           before.at<uint8_t>(y, x) != kPole;
  };
  for (int y = 0; y + 1 < label.rows; ++y) {
    for (int x = 0; x + 1 < label.cols; ++x) {
      for (const cv::Point next : {cv::Point(x + 1, y), cv::Point(x, y + 1)}) {
        if (before.at<uint8_t>(y, x) == before.at<uint8_t>(next)) continue;
        if (outlined(y, x) || outlined(next.y, next.x)) label.at<uint8_t>(y, x) = kVoid;
      }
    }
  }
}

void DrawThings(Things& things) {
  std::stable_sort(things.begin(), things.end(),
                   [](const SceneThing& a, const SceneThing& b) { return a.depth > b.depth; });
  for (const SceneThing& thing : things) thing.draw();
}

}  // namespace

Scene DrawScene(uint64_t seed, uint64_t number, int32_t height, int32_t width) {
  SceneRandom random(seed, number);
  const int tall = height * kOversampling, wide = width * kOversampling;
  const SceneCamera camera = PlaceCamera(tall, wide, random);
  const Colour low_sky = random.Near({{225, 220, 210}, {205, 205, 205}, {200, 215, 225}});
  SceneCanvas canvas(tall, wide, low_sky, random);
  const ScenePen pen{canvas, camera, random};
  canvas.Sky(random.Near({{210, 160, 100}, {190, 185, 180}, {215, 190, 150}}), low_sky,
             random.Near({{225, 225, 225}, {170, 170, 172}}),
             static_cast<float>(random.Uniform(-0.5, 0.6)));
  DrawSkyline(pen);
  const StreetPlan plan = PlanStreet(random);
  DrawGround(pen, plan);
  Things things = LineStreet(pen, plan, plan.left);
  for (SceneThing& thing : LineStreet(pen, plan, plan.right)) things.push_back(std::move(thing));
  PlaceFurniture(things, pen, plan.left);
  PlaceFurniture(things, pen, plan.right);
  PlaceTraffic(things, pen, plan);
  DrawThings(things);

  Scene scene;
  cv::Mat picture, objects, noise = canvas.texture(0)(cv::Rect(0, 0, width, height));
  cv::resize(canvas.image(), picture, cv::Size(width, height), 0, 0, cv::INTER_AREA);
  cv::resize(canvas.label(), scene.label, cv::Size(width, height), 0, 0, cv::INTER_NEAREST);
  cv::resize(canvas.objects(), objects, cv::Size(width, height), 0, 0, cv::INTER_NEAREST);
  const double blur = random.Uniform(0, 0.8);
  if (blur > 0.3) cv::GaussianBlur(picture, picture, cv::Size(3, 3), blur);
  Develop(picture, noise, random);
  picture.convertTo(scene.image, CV_8UC3);
  MarkVoidBorders(objects, random.Bits(), scene.label);
  return scene;
}

}  // namespace reflux
