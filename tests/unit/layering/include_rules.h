// Which folder may include which: the table behind docs/architecture.md, and the checks over it.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace reflux {

// Path from the repository's root to text.
using SourceTree = std::map<std::string, std::string>;

struct Layer {
  // Folder; the longest that fits a path is the path's layer.
  std::string folder;
  // Layers below it that it may include. A name also stands for the folders under it.
  std::vector<std::string> may_include;
  // First folders of angle includes (and "reflux", the generated protocol) that no file of the
  // layer may reach, directly or through headers of the repository.
  std::set<std::string> forbidden;
};

// In dependency order: a layer includes itself and layers above it in the list only.
const std::vector<Layer>& Layers();

// The layer that holds `path`; null if none does.
const Layer* FindLayer(absl::string_view path);

// One line a problem: the file, its include and the rule that the include breaks. Empty: all is
// well. Headers outside the tree (absl/, generated code of a folder) count by their first folder.
std::vector<std::string> FindForbiddenIncludes(const SourceTree& tree);

// CMakeLists.txt of torch-free layers that ask for LibTorch: the precompiled header would let
// their sources use it without an include.
std::vector<std::string> FindForbiddenTorchTargets(const SourceTree& tree);

}  // namespace reflux
