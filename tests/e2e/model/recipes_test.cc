// Every recipe of deploy/recipes, for two steps on tiny images in its data set's layout, by
// `reflux run`: the recipe's networks, classes, losses and optimiser, smaller crops and batches.
#include "common/spec/recipes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "common/base/file.h"
#include "common/spec/job_file.h"
#include "common/spec/job_teachers.h"
#include "tests/support/tiny_data_sets.h"

namespace reflux {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr int kSide = 128;  // a map of 16x16 at stride 8: Af-DCD pools by 4 and takes patches of 4

constexpr char kSmallViews[] = ", crop: [128, 128], eval_size: [64, 64]";

std::vector<std::string> RecipeNames() {
  std::vector<std::string> names;
  for (const Recipe& recipe : Recipes("/nowhere")) names.push_back(recipe.name);
  return names;
}

int Classes(const std::string& format) {
  static const auto* const classes =
      new std::map<std::string, int>{{"camvid", 11},  {"cityscapes", 19},  {"voc", 21},
                                     {"ade20k", 150}, {"coco_stuff", 171}, {"cifar100", 100}};
  return classes->at(format);
}

// Data sets and teachers are shared by the recipes and deleted at the end.
class RecipesTest : public testing::TestWithParam<std::string> {
 protected:
  static void SetUpTestSuite() {
    root_ = absl::StrCat(testing::TempDir(), "recipes_test_", getpid());
    fs::create_directories(root_);
  }
  static void TearDownTestSuite() { fs::remove_all(root_); }

  static void RunProgram(const std::string& arguments) {
    const std::string log = root_ + "/program.log";
    const std::string command = absl::StrCat("cd '", root_, "' && ", std::getenv("REFLUX_BIN"), "/",
                                             arguments, " >", log, " 2>&1");
    ASSERT_EQ(std::system(command.c_str()), 0) << arguments << ":\n"
                                               << ReadFile(log, 1 << 20).value_or("");
  }

  static std::string DataSet(const std::string& format) {
    const std::string folder = root_ + "/" + format;
    if (!fs::exists(folder)) WriteTinyDataSet(format, folder, kSide, kSide);
    return folder;
  }

  // Random weights: what is tried is that the networks fit together.
  static std::string Teacher(const std::string& architecture, int classes) {
    const std::string path = absl::StrFormat("%s/%s_%d.safetensors", root_, architecture, classes);
    if (!fs::exists(path)) {
      RunProgram(absl::StrFormat("reflux-model init --model %s --classes %d -o %s", architecture,
                                 classes, path));
    }
    return path;
  }

  static v1::JobSpec Published(const std::string& recipe) {
    return ParseJob({.text = "name: published\nextends: recipes/" + recipe +
                             "\ndata: {root: d}\nteacher: {checkpoint: t}\n"})
        .value();
  }

  static std::string SmallJob(const std::string& recipe) {
    const v1::JobSpec spec = Published(recipe);
    const std::string format = spec.data().format();
    std::string text =
        absl::StrFormat(R"(name: %s
extends: recipes/%s
data: {root: %s%s}
targets: {cache: none}
train: {steps: 2, epochs: 0, global_batch: 2, eval_every: 0, threads: 2, log_every: 1}
)",
                        recipe, recipe, DataSet(format), format == "cifar100" ? "" : kSmallViews);
    if (NeedsTeacher(spec.losses())) {
      const char* teacher = absl::StrContains(spec.student().model(), "plus")
                                ? "deeplabv3plus_resnet101"
                                : "deeplabv3_resnet101";
      absl::StrAppend(&text, "teacher: {checkpoint: ", Teacher(teacher, Classes(format)),
                      ", threads: 2, expect_miou: 0}\n");
    }
    // A corner of the published crop's map would be larger than the whole map here.
    if (spec.losses().afdcd().crop_size() > 0) {
      absl::StrAppend(&text, "losses: {afdcd: {crop: [8, 8]}}\n");
    }
    return text;
  }

  static std::string root_;
};

std::string RecipesTest::root_;

TEST_P(RecipesTest, TrainsForTwoSteps) {
  const std::string folder = root_ + "/" + GetParam(), job = folder + ".yaml";
  std::ofstream(job) << SmallJob(GetParam());
  RunProgram(absl::StrCat("reflux run ", job, " --dir ", folder));
  EXPECT_TRUE(fs::exists(folder + "/student.safetensors"));
  std::set<std::string> terms;
  const std::string metrics = ReadFile(folder + "/metrics.jsonl", 1 << 20).value();
  for (absl::string_view line : absl::StrSplit(metrics, '\n', absl::SkipEmpty())) {
    const json row = json::parse(std::string(line));
    if (!row.contains("losses")) continue;
    for (const auto& [name, value] : row["losses"].items()) {
      EXPECT_TRUE(value.is_number() && std::isfinite(value.get<double>())) << name << ": " << line;
      terms.insert(name);
    }
  }
  const v1::LossesSpec losses = Published(GetParam()).losses();
  const auto* fields = losses.GetDescriptor();
  for (int i = 0; i < fields->field_count(); ++i) {
    // losses.own is a map, which no recipe has.
    if (fields->field(i)->is_repeated()) continue;
    if (!losses.GetReflection()->HasField(losses, fields->field(i))) continue;
    EXPECT_EQ(terms.count(fields->field(i)->name()), 1u)
        << fields->field(i)->name() << " in " << metrics;
  }
  fs::remove_all(folder);
}

INSTANTIATE_TEST_SUITE_P(All, RecipesTest, testing::ValuesIn(RecipeNames()), [](const auto& info) {
  std::string name = info.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

}  // namespace
}  // namespace reflux
