#include "common/spec/recipes.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"

namespace reflux {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> RecipeFolders(const std::string& folder) {
  std::vector<fs::path> folders = {fs::path(folder) / "recipes"};
  if (const char* from_environment = std::getenv("REFLUX_RECIPES")) {
    folders.push_back(from_environment);
  }
  folders.push_back(REFLUX_SOURCE_RECIPES);
  return folders;
}

std::vector<std::string> KnownRecipes(const std::vector<fs::path>& folders) {
  std::vector<std::string> names;
  for (const fs::path& folder : folders) {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(folder, error)) {
      if (entry.path().extension() == ".yaml") names.push_back(entry.path().stem().string());
    }
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

}  // namespace

absl::StatusOr<std::string> FindRecipe(const std::string& name, const std::string& folder) {
  absl::string_view rest = name;
  const bool recipe = absl::ConsumePrefix(&rest, "recipes/");
  const std::string file =
      absl::EndsWith(rest, ".yaml") ? std::string(rest) : absl::StrCat(rest, ".yaml");
  const std::vector<fs::path> folders =
      recipe ? RecipeFolders(folder) : std::vector<fs::path>{folder};
  std::vector<std::string> tried;
  for (const fs::path& candidate : folders) {
    const fs::path path = candidate / file;
    std::error_code error;
    if (fs::is_regular_file(path, error)) return path.string();
    tried.push_back(path.string());
  }
  return absl::NotFoundError(absl::StrCat(
      "no recipe `", name, "`; looked for ", absl::StrJoin(tried, ", "),
      recipe ? absl::StrCat("; there are: ", absl::StrJoin(KnownRecipes(folders), ", ")) : ""));
}

}  // namespace reflux
