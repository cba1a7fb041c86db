#include "common/spec/recipes.h"

#include <cstdlib>
#include <filesystem>
#include <map>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/base/file.h"

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

constexpr int64_t kMaxRecipeBytes = 1 << 20;

// The first sentence of the comment lines at the top.
std::string Summary(const std::string& path) {
  const absl::StatusOr<std::string> text = ReadFile(path, kMaxRecipeBytes);
  if (!text.ok()) return "";
  std::vector<std::string> comment;
  for (absl::string_view line : absl::StrSplit(*text, '\n')) {
    if (!absl::ConsumePrefix(&line, "#")) break;
    comment.emplace_back(absl::StripAsciiWhitespace(line));
  }
  const std::string whole = absl::StrJoin(comment, " ");
  return whole.substr(0, whole.find(". "));
}

std::string KnownRecipes(const std::string& folder) {
  return absl::StrJoin(Recipes(folder), ", ", [](std::string* out, const Recipe& recipe) {
    absl::StrAppend(out, recipe.name);
  });
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
  return absl::NotFoundError(
      absl::StrCat("no recipe `", name, "`; looked for ", absl::StrJoin(tried, ", "),
                   recipe ? absl::StrCat("; there are: ", KnownRecipes(folder)) : ""));
}

std::vector<Recipe> Recipes(const std::string& folder) {
  std::map<std::string, std::string> paths;
  for (const fs::path& place : RecipeFolders(folder)) {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(place, error)) {
      if (entry.path().extension() != ".yaml") continue;
      paths.emplace(entry.path().stem().string(), entry.path().string());  // the first stays
    }
  }
  std::vector<Recipe> recipes;
  for (const auto& [name, path] : paths) recipes.push_back({name, path, Summary(path)});
  return recipes;
}

}  // namespace reflux
