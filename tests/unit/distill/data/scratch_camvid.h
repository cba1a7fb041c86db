// A tiny data set in the SegNet layout in a folder of its own.
#pragma once

#include "tests/unit/distill/data/scratch_tree.h"

namespace reflux {

class ScratchCamVid : public ScratchTree {
 public:
  ScratchCamVid() : ScratchTree("camvid") {
    for (const char* folder : {"train", "trainannot", "val", "valannot"}) {
      std::filesystem::create_directories(root + "/" + folder);
    }
  }
  void AddPair(const std::string& stem) {
    AddImage("train/" + stem + ".jpg");
    AddLabel("trainannot/" + stem + ".png");
  }
};

}  // namespace reflux
