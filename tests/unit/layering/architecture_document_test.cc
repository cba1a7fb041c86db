// docs/architecture.md names files and functions; they must be there.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>
#include <string>

namespace reflux {
namespace {

namespace fs = std::filesystem;

std::string ReadText(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

class ArchitectureDocumentTest : public testing::Test {
 protected:
  void SetUp() override {
    const char* root = std::getenv("REFLUX_SOURCE");
    ASSERT_NE(root, nullptr);
    root_ = root;
    document_ = ReadText(root_ / "docs/architecture.md");
    ASSERT_GT(document_.size(), 1000u);
  }
  // First groups of `pattern` in the document.
  std::set<std::string> Find(const std::string& pattern) const {
    const std::regex regex(pattern);
    std::set<std::string> found;
    for (std::sregex_iterator it(document_.begin(), document_.end(), regex), end; it != end; ++it) {
      found.insert((*it)[1]);
    }
    return found;
  }
  // Paths of all files in folders that the document speaks of.
  std::set<std::string> Files() const {
    std::set<std::string> files;
    for (const char* folder :
         {"proto", "common", "distill", "job_plan", "cache", "teacher_server", "student_worker",
          "planner", "orchestrator", "cli", "tests", "docs", "cmake"}) {
      for (const auto& entry : fs::recursive_directory_iterator(root_ / folder)) {
        if (entry.is_regular_file()) files.insert(fs::relative(entry.path(), root_).string());
      }
    }
    return files;
  }

  fs::path root_;
  std::string document_;
};

// With a folder: there, seen from the root or, as a link says it, from docs/. Without: somewhere.
TEST_F(ArchitectureDocumentTest, EveryFileItNamesExists) {
  const std::set<std::string> files = Files();
  std::set<std::string> known = files;
  for (const std::string& path : files) known.insert(fs::path(path).filename().string());
  const std::set<std::string> named = Find("([A-Za-z0-9_./-]+\\.(?:cc|h|md|proto|cmake))\\b");
  EXPECT_GT(named.size(), 30u);
  for (const std::string& name : named) {
    const std::string linked = ("docs" / fs::path(name)).lexically_normal().string();
    EXPECT_TRUE(known.count(name) > 0 || files.count(linked) > 0)
        << "docs/architecture.md names " << name;
  }
}

TEST_F(ArchitectureDocumentTest, EveryFunctionItNamesIsInTheSources) {
  std::string sources;
  for (const std::string& path : Files()) {
    if (path.rfind("tests/", 0) != 0 && fs::path(path).extension() == ".cc")
      sources += ReadText(root_ / path);
  }
  // In brackets behind a file: (`CheckGeneration`, `Register`) or (`Keep`).
  const std::set<std::string> functions = Find("`([A-Z][A-Za-z]+)`(?=[^(\n]{0,60}\\))");
  EXPECT_GT(functions.size(), 10u);
  for (const std::string& function : functions) {
    EXPECT_NE(sources.find(function + "("), std::string::npos)
        << "docs/architecture.md: " << function;
  }
}

}  // namespace
}  // namespace reflux
