// An include that goes up fails here.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/str_join.h"
#include "tests/unit/layering/include_rules.h"

namespace reflux {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::string ReadText(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

// Folders with no C++ of ours: build output, the repository's own data, tools and texts.
bool IsSkipped(const fs::path& folder) {
  const std::string name = folder.filename().string();
  return name.front() == '.' || name == "build" || name == "cmake" || name == "docs" ||
         name == "deploy" || name == "shared";
}

SourceTree ReadRepository() {
  const char* root = std::getenv("REFLUX_SOURCE");
  SourceTree tree;
  if (root == nullptr) return tree;
  for (const auto& top : fs::directory_iterator(root)) {
    if (!top.is_directory() || IsSkipped(top.path())) continue;
    for (const auto& entry : fs::recursive_directory_iterator(top.path())) {
      const std::string extension = entry.path().extension().string();
      if (extension == ".h" || extension == ".cc" || extension == ".in" || extension == ".txt")
        tree[fs::relative(entry.path(), root).string()] = ReadText(entry.path());
    }
  }
  return tree;
}

class LayeringTest : public testing::Test {
 protected:
  static const SourceTree& repository() {
    static const auto& tree = *new SourceTree(ReadRepository());
    return tree;
  }
  void SetUp() override {
    ASSERT_GT(repository().size(), 200u) << "REFLUX_SOURCE must name the source folder";
  }
};

TEST_F(LayeringTest, NoIncludeOfTheRepositoryGoesUp) {
  const auto problems = FindForbiddenIncludes(repository());
  EXPECT_THAT(problems, IsEmpty()) << absl::StrJoin(problems, "\n");
}

TEST_F(LayeringTest, TorchFreeFoldersLinkNoTorch) {
  const auto problems = FindForbiddenTorchTargets(repository());
  EXPECT_THAT(problems, IsEmpty()) << absl::StrJoin(problems, "\n");
}

TEST_F(LayeringTest, TheRepositorysEdgesAreSeen) {
  SourceTree tree = repository();
  tree["common/base/digest.h"] += "\n#include \"cache/target_store.h\"\n";
  EXPECT_THAT(FindForbiddenIncludes(tree),
              testing::Contains(HasSubstr("common/base may not include cache")));
}

TEST(IncludeRulesTest, TheTableIsInDependencyOrder) {
  std::vector<std::string> below;
  for (const Layer& layer : Layers()) {
    for (const std::string& folder : layer.may_include) {
      const bool known = std::any_of(below.begin(), below.end(), [&](const std::string& name) {
        return name == folder || name.rfind(folder + "/", 0) == 0;
      });
      EXPECT_TRUE(known) << layer.folder << " may include " << folder << ", which is not below it";
    }
    below.push_back(layer.folder);
  }
}

TEST(IncludeRulesTest, AnIncludeUpIsFoundWithItsFileAndRule) {
  EXPECT_THAT(FindForbiddenIncludes({{"cache/a.cc", "#include \"orchestrator/b.h\"\n"}}),
              ElementsAre("cache/a.cc: includes orchestrator/b.h, but cache may not include "
                          "orchestrator"));
  EXPECT_THAT(FindForbiddenIncludes({{"common/targets/a.h", "#include \"common/spec/b.h\""}}),
              ElementsAre(HasSubstr("common/targets may not include common/spec")));
  EXPECT_THAT(FindForbiddenIncludes({{"cli/a.cc", "#include \"distill/models/b.h\""}}),
              ElementsAre(HasSubstr("cli may not include distill")));
}

TEST(IncludeRulesTest, IncludesDownAndAcrossTheOwnFolderAreAllowed) {
  EXPECT_THAT(FindForbiddenIncludes({{"student_worker/a.cc",
                                      "#include \"cache/b.h\"\n#include \"student_worker/c.h\"\n"
                                      "#include \"distill/losses/d.h\"\n#include <torch/torch.h>"},
                                     {"cli/a.cc", "#include \"distill/data/scenes.h\""},
                                     {"cli/model/a.cc", "#include <torch/torch.h>"}}),
              IsEmpty());
}

TEST(IncludeRulesTest, ALibraryIsFoundBehindAHeader) {
  EXPECT_THAT(FindForbiddenIncludes({{"distill/losses/a.cc", "#include \"common/targets/b.h\""},
                                     {"common/targets/b.h", "#include <grpcpp/grpcpp.h>"}}),
              ElementsAre("distill/losses/a.cc: reaches grpcpp/ (named in common/targets/b.h), "
                          "which distill may not know"));
}

TEST(IncludeRulesTest, TorchIsFoundWhereItMayNotBe) {
  for (const char* path :
       {"common/base/a.h", "cache/a.h", "orchestrator/a.cc", "cli/a.cc", "distill/data/a.cc"}) {
    for (const char* include : {"<torch/torch.h>", "<ATen/ATen.h>", "<c10/util/Half.h>"}) {
      const std::string text = std::string("#include ") + include;
      EXPECT_THAT(FindForbiddenIncludes({{path, text}}), testing::SizeIs(1)) << path << include;
    }
  }
}

TEST(IncludeRulesTest, OnlyTheRegistryKnowsPrometheus) {
  const std::string text = "#include <prometheus/counter.h>";
  EXPECT_THAT(FindForbiddenIncludes({{"cache/a.cc", text}}), testing::SizeIs(1));
  EXPECT_THAT(FindForbiddenIncludes({{"tests/unit/a.cc", text}}), testing::SizeIs(1));
  EXPECT_THAT(FindForbiddenIncludes({{"common/metrics/prometheus_registry.cc", text}}), IsEmpty());
}

TEST(IncludeRulesTest, AFolderWithoutALayerIsNamed) {
  EXPECT_THAT(FindForbiddenIncludes({{"gateway/a.cc", ""}}),
              ElementsAre(HasSubstr("gateway/a.cc: its folder has no layer")));
}

TEST(IncludeRulesTest, ATorchTargetInATorchFreeFolderIsFound) {
  EXPECT_THAT(
      FindForbiddenTorchTargets({{"cache/CMakeLists.txt", "reflux_library(x TORCH SOURCES a.cc)"},
                                 {"distill/losses/CMakeLists.txt", "reflux_library(y TORCH)"},
                                 {"cli/CMakeLists.txt", "# Torch-free."}}),
      ElementsAre(HasSubstr("cache/CMakeLists.txt: asks for LibTorch")));
}

}  // namespace
}  // namespace reflux
