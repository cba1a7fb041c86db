// A small problem that is learnt: a student sees twelve generated scenes until it tells their
// larger classes apart.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/file.h"
#include "distill/data/scenes.h"
#include "tests/e2e/program.h"

namespace reflux {
namespace {

// Of 11 classes. A third of them alone, wholly right, would be 27 %; what always says road comes to
// about 5 %.
constexpr double kLearntMiou = 25, kUntrainedMiou = 8;

class LearningTest : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::remove_all(root_);
    ASSERT_TRUE(
        WriteScenes(root_ + "/scenes", {.train = 12, .val = 1, .height = 180, .width = 240}, nullptr).ok());
  }
  void TearDown() override {
    if (!HasFailure()) std::filesystem::remove_all(root_);
  }

  // mIoU of every evaluation of a run, %.
  std::vector<double> Evaluations(const std::string& folder) {
    std::vector<double> values;
    std::istringstream lines(ReadFile(folder + "/metrics.jsonl", 1 << 24).value_or(""));
    for (std::string line; std::getline(lines, line);) {
      const nlohmann::json record = nlohmann::json::parse(line);
      if (record.at("kind") == "evaluation") values.push_back(record.at("miou"));
    }
    return values;
  }

  const std::string root_ = testing::TempDir() + "reflux_learning";
};

TEST_F(LearningTest, AStudentLearnsASmallSet) {
  const std::string job = root_ + "/job.yaml";
  ASSERT_TRUE(WriteFileAtomically(job, absl::StrFormat(R"(
name: learning
data: {format: camvid, root: %s/scenes, val_split: train, crop: [96, 128], scale: [0.55, 0.7], eval_size: [96, 128]}
student: {model: deeplabv3_resnet18}
losses: {ce: {}}
train: {global_batch: 4, steps: 75, seed: 1, threads: 2, learning_rate: 0.02}
)",
                                                       root_))
                  .ok());
  const ShellOutput output = RunReflux(absl::StrCat("run ", job, " --dir ", root_, "/run"));
  ASSERT_EQ(output.exit_code, 0) << output.text;
  const std::vector<double> miou = Evaluations(root_ + "/run");
  ASSERT_GE(miou.size(), 2u);
  EXPECT_LT(miou.front(), kUntrainedMiou);
  EXPECT_GT(miou.back(), kLearntMiou);
}

}  // namespace
}  // namespace reflux
