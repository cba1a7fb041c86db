// Whose names a state dict has, and what belongs to such weights besides them. The names of our
// networks are those of the code bases, so that most layouts need no renaming. Torch-free.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "common/targets/target.h"

namespace reflux {

struct CheckpointLayout {
  std::string name;    // "cirkd", "torchvision", "aicsd", "mmseg"
  std::string source;  // whose, for people
  // Recognised when every one of these begins a name.
  std::vector<std::string> marks;
  // What the code base feeds to such a network.
  Preprocessing preprocessing;
};

const std::vector<CheckpointLayout>& CheckpointLayouts();
// Null when no layout fits.
const CheckpointLayout* RecogniseLayout(const std::vector<std::string>& names);
// Null for an unknown name.
const CheckpointLayout* FindLayout(absl::string_view name);
// "cirkd, torchvision, ...".
std::string LayoutNames();

// Whether both give a network the same numbers, up to rounding.
bool SamePreprocessing(const Preprocessing& a, const Preprocessing& b);
// "BGR, mean subtracted", "RGB, mean and deviation".
std::string DescribePreprocessing(const Preprocessing& preprocessing);

}  // namespace reflux
