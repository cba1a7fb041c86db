// Random choices of one generated scene (scenes.h). Not thread-safe.
#pragma once

#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <opencv2/core/matx.hpp>

#include "common/base/counter_random.h"

namespace reflux {

// A colour as blue, green, red, 0..255.
using Colour = cv::Vec3f;

class SceneRandom {
 public:
  SceneRandom(uint64_t seed, uint64_t number) : random_(seed, "scene"), number_(number) {}

  uint64_t Bits() { return random_.Bits(number_, next_++); }
  double Uniform(double low, double high) {
    return low + (high - low) * random_.Uniform(number_, next_++);
  }
  int Below(int n) { return static_cast<int>(random_.Below(n, number_, next_++)); }
  bool Chance(double probability) { return Uniform(0, 1) < probability; }
  double Sign() { return Chance(0.5) ? 1 : -1; }

  // One of `colours`, changed a little in brightness and hue.
  Colour Near(std::initializer_list<Colour> colours) {
    const Colour base = *(colours.begin() + Below(static_cast<int>(colours.size())));
    const auto bright = static_cast<float>(Uniform(0.75, 1.25));
    Colour colour;
    for (int c = 0; c < 3; ++c) {
      colour[c] = base[c] * bright + static_cast<float>(Uniform(-10, 10));
    }
    return colour;
  }
  // Paint and cloth: every class that uses it can have any colour.
  Colour Any() {
    if (Chance(0.5)) {
      const auto grey = static_cast<float>(Uniform(25, 225));
      return Near({{grey, grey, grey}});
    }
    return Near({{40, 40, 180},
                 {150, 60, 30},
                 {60, 110, 40},
                 {40, 160, 200},
                 {110, 70, 110},
                 {130, 130, 60},
                 {50, 80, 120},
                 {90, 40, 40}});
  }

 private:
  const CounterRandom random_;
  const uint64_t number_;
  uint64_t next_ = 0;
};

}  // namespace reflux
