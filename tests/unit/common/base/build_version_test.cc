// cmake/BuildVersion.cmake on a tree of sources that is in no repository.
#include "common/base/build_version.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace reflux {
namespace {

namespace fs = std::filesystem;

void Write(const fs::path& path, const std::string& text) { std::ofstream(path) << text; }

std::string Read(const fs::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(BuildVersionTest, NamesTheCommitOrTheSources) {
  EXPECT_THAT(std::string(BuildVersion()),
              testing::MatchesRegex("0\\.1\\.0\\+(sources-)?[0-9a-f]{12,}(-dirty)?"));
}

class BuildVersionScriptTest : public testing::Test {
 protected:
  void SetUp() override {
    fs::remove_all(root_);
    fs::create_directories(root_ / "common");
    Write(root_ / "common/a.cc", "int a;\n");
    Write(root_ / "version.in", "@BUILD_VERSION@\n");
  }
  void TearDown() override { fs::remove_all(root_); }

  // What the build would write now.
  std::string Version() {
    // Not even git's own variables may lead to another repository.
    const std::string command = std::string("env -u GIT_DIR -u GIT_WORK_TREE ") + CMAKE +
                                " -DVERSION=1.2 -DSOURCE=" + root_.string() +
                                " -DTEMPLATE=" + (root_ / "version.in").string() +
                                " -DOUTPUT=" + (root_ / "version").string() + " -P " +
                                std::getenv("REFLUX_SOURCE") + "/cmake/BuildVersion.cmake";
    EXPECT_EQ(std::system(command.c_str()), 0);
    return Read(root_ / "version");
  }

  const fs::path root_ = fs::absolute(testing::TempDir()) / "reflux_build_version";
};

TEST_F(BuildVersionScriptTest, WithoutGitItIsADigestOfTheSources) {
  const std::string version = Version();
  EXPECT_THAT(version, testing::MatchesRegex("1\\.2\\+sources-[0-9a-f]{12}\n"));
  const auto written = fs::last_write_time(root_ / "version");
  EXPECT_EQ(Version(), version);
  EXPECT_EQ(fs::last_write_time(root_ / "version"), written) << "nothing to compile again";
  Write(root_ / "common/a.cc", "int b;\n");
  EXPECT_NE(Version(), version);
}

}  // namespace
}  // namespace reflux
