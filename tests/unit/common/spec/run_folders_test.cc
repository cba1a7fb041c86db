#include "common/spec/run_folders.h"

#include <gtest/gtest.h>

#include <filesystem>

namespace reflux {
namespace {

TEST(RunFoldersTest, ARunHasItsFolderAndANamedCacheIsShared) {
  const std::string here = std::filesystem::current_path().string();
  v1::JobSpec spec;
  spec.set_name("small");
  EXPECT_EQ(RunFolder(spec, ""), here + "/runs/small");
  EXPECT_EQ(RunFolder(spec, "/data/run"), "/data/run");
  EXPECT_EQ(RunCacheFolder(spec, ""), here + "/runs/small/cache");
  EXPECT_EQ(RunCacheFolder(spec, "/data/run"), "/data/run/cache");
  spec.mutable_targets()->set_cache("lab");
  EXPECT_EQ(RunCacheFolder(spec, ""), here + "/runs/caches/lab");
  EXPECT_EQ(RunCacheFolder(spec, "/data/run"), here + "/runs/caches/lab");
}

}  // namespace
}  // namespace reflux
