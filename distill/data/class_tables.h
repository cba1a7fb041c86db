// Names and colours of the classes of published data sets, in the order of their indices: those of
// the SegNet tutorial, cityscapesScripts, the VOC development kit, MIT's scene parsing benchmark
// and mmsegmentation (COCO-Stuff). Torch-free, thread-safe.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <opencv2/core.hpp>
#include <string>
#include <vector>

namespace reflux {

struct ClassTable {
  std::vector<std::string> names;
  std::vector<cv::Vec3b> palette;  // BGR
};

const ClassTable& CamVidClasses();      // 11
const ClassTable& CityscapesClasses();  // 19
const ClassTable& VocClasses();         // 21, background first
const ClassTable& Ade20kClasses();      // 150
const ClassTable& CocoStuffClasses();   // 171

struct ClassColour {
  const char* name;
  uint32_t rgb;  // 0xRRGGBB
};
ClassTable MakeTable(std::initializer_list<ClassColour> classes);

// VOC's colour of `index`: its bits, spread over the three channels. Distinct for 0..255, black for
// 0; the colours of data sets that publish none.
cv::Vec3b VocColour(int index);

}  // namespace reflux
