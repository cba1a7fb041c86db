// Generated street scenes: a labelled data set for demonstrations and tests that need no download.
//
// Every picture is a small street in perspective: road with markings, pavements, buildings, trees,
// poles, signs, fences, cars, pedestrians and bicyclists under changing light, with CamVid's class
// indices (class_tables.h) and void along the borders of some objects. The classes share their
// colours and textures on purpose (grey walls and grey roads, red cars and red shop boards), so
// that place, shape and surroundings have to be used. Torch-free, thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <opencv2/core/mat.hpp>
#include <string>

#include "absl/status/statusor.h"

namespace reflux {

struct Scene {
  cv::Mat image;  // 8-bit BGR
  cv::Mat label;  // 8-bit class indices 0..10, 11 is void
};

// Scene `number` of the endless series of `seed`: a pure function of its arguments. Sides in
// pixels, 48 to 2048 (SceneSetOptions checks).
Scene DrawScene(uint64_t seed, uint64_t number, int32_t height, int32_t width);

struct SceneSetOptions {
  int64_t train = 200, val = 50;      // pictures; the first of a longer set are the same
  int32_t height = 180, width = 240;  // pixels
  uint64_t seed = 0;

  // InvalidArgument names the field, its value and what is allowed.
  absl::Status Validate() const;
  // One line, "train=200 val=50 ...": what decides the files' bytes.
  std::string ToString() const;
  static constexpr int64_t kMaxImages = 100000;
  static constexpr int32_t kMinSide = 48, kMaxSide = 2048;
};

struct SceneSetReport {
  int64_t written = 0;  // scenes drawn by this call
  int64_t found = 0;    // scenes that were there, from a run that was interrupted
  bool was_complete = false;
};

// Fills `folder` (created if needed) with the scenes in CamVid's layout: NAME.jpg of quality 92
// under train/ and val/, NAME.png under trainannot/ and valannot/, and scenes.txt, which records
// the options. Every file appears whole or not at all; a set that was interrupted is completed, a
// complete one left alone. `progress(done, total)` may be null. FailedPrecondition when the folder
// holds scenes of other options or something else; otherwise the errors of writing files.
absl::StatusOr<SceneSetReport> WriteScenes(const std::string& folder,
                                           const SceneSetOptions& options,
                                           const std::function<void(int64_t, int64_t)>& progress);

}  // namespace reflux
