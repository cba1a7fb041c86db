#include "distill/data/class_tables.h"

namespace reflux {

ClassTable MakeTable(std::initializer_list<ClassColour> classes) {
  ClassTable table;
  for (const ClassColour& entry : classes) {
    table.names.emplace_back(entry.name);
    table.palette.emplace_back(entry.rgb & 0xff, entry.rgb >> 8 & 0xff, entry.rgb >> 16);
  }
  return table;
}

// In the order of the SegNet tutorial.
const ClassTable& CamVidClasses() {
  static const auto& table = *new ClassTable(MakeTable({{"Sky", 0x808080},
                                                        {"Building", 0x800000},
                                                        {"Pole", 0xc0c080},
                                                        {"Road", 0x804080},
                                                        {"Pavement", 0x3c28de},
                                                        {"Tree", 0x808000},
                                                        {"SignSymbol", 0xc08080},
                                                        {"Fence", 0x404080},
                                                        {"Car", 0x400080},
                                                        {"Pedestrian", 0x404000},
                                                        {"Bicyclist", 0x0080c0}}));
  return table;
}

// The 19 of the benchmark, by trainId.
const ClassTable& CityscapesClasses() {
  static const auto& table = *new ClassTable(MakeTable({{"road", 0x804080},
                                                        {"sidewalk", 0xf423e8},
                                                        {"building", 0x464646},
                                                        {"wall", 0x66669c},
                                                        {"fence", 0xbe9999},
                                                        {"pole", 0x999999},
                                                        {"traffic light", 0xfaaa1e},
                                                        {"traffic sign", 0xdcdc00},
                                                        {"vegetation", 0x6b8e23},
                                                        {"terrain", 0x98fb98},
                                                        {"sky", 0x4682b4},
                                                        {"person", 0xdc143c},
                                                        {"rider", 0xff0000},
                                                        {"car", 0x00008e},
                                                        {"truck", 0x000046},
                                                        {"bus", 0x003c64},
                                                        {"train", 0x005064},
                                                        {"motorcycle", 0x0000e6},
                                                        {"bicycle", 0x770b20}}));
  return table;
}

// VOC 2012.
const ClassTable& VocClasses() {
  static const auto& table = *new ClassTable(
      MakeTable({{"background", 0x000000}, {"aeroplane", 0x800000},   {"bicycle", 0x008000},
                 {"bird", 0x808000},       {"boat", 0x000080},        {"bottle", 0x800080},
                 {"bus", 0x008080},        {"car", 0x808080},         {"cat", 0x400000},
                 {"chair", 0xc00000},      {"cow", 0x408000},         {"diningtable", 0xc08000},
                 {"dog", 0x400080},        {"horse", 0xc00080},       {"motorbike", 0x408080},
                 {"person", 0xc08080},     {"pottedplant", 0x004000}, {"sheep", 0x804000},
                 {"sofa", 0x00c000},       {"train", 0x80c000},       {"tvmonitor", 0x004080}}));
  return table;
}

cv::Vec3b VocColour(int index) {
  cv::Vec3b bgr(0, 0, 0);
  for (int bit = 7; index != 0; --bit, index >>= 3) {
    for (int channel = 0; channel < 3; ++channel) {
      bgr[2 - channel] |= static_cast<uint8_t>((index >> channel & 1) << bit);
    }
  }
  return bgr;
}

}  // namespace reflux
