// Recipes: job files to extend. Thread-safe; reads files.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace reflux {

// The file that `extends: NAME` in a file of `folder` means. "recipes/NAME" is looked for in the
// folder recipes/ beside the file, then in $REFLUX_RECIPES, then among those of the source tree;
// any other name is a path from `folder`. ".yaml" may be left out. NotFound lists where it looked
// and the recipes there are.
absl::StatusOr<std::string> FindRecipe(const std::string& name, const std::string& folder);

struct Recipe {
  std::string name;     // as in `extends: recipes/NAME`
  std::string path;     // of its file
  std::string summary;  // first sentence of the comment at its top; empty: it has none
};

// Every recipe that a file in `folder` can extend, by name; of several files of one name, the one
// that FindRecipe takes.
std::vector<Recipe> Recipes(const std::string& folder);

}  // namespace reflux
