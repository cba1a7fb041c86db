#include "common/spec/job_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "absl/strings/match.h"
#include "common/base/file.h"
#include "common/spec/job_teachers.h"
#include "common/spec/recipes.h"
#include "tests/unit/common/spec/spec_fixture.h"

namespace reflux {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

std::string DataFile(const std::string& name) {
  return std::string(std::getenv("REFLUX_SOURCE")) + "/tests/unit/common/spec/data/" + name;
}

std::string Folder(const std::string& name) {
  const std::string folder = testing::TempDir() + "job_file_" + name;
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder + "/recipes");
  return folder;
}

TEST(JobFileTest, FillsDefaultsAndKeepsWhatIsGiven) {
  const auto spec = Parse(kSmallJob);
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->name(), "small");
  EXPECT_EQ(spec->train().steps(), 10);
  EXPECT_EQ(spec->train().global_batch(), 8);
  EXPECT_DOUBLE_EQ(spec->train().learning_rate(), 0.02);
  EXPECT_THAT(spec->data().crop(), ElementsAre(360, 360));
  EXPECT_THAT(spec->data().scale(), ElementsAre(0.5, 2.0));
  EXPECT_TRUE(spec->data().flip());
  EXPECT_EQ(spec->targets().views(), "replay: 8");
  EXPECT_EQ(spec->run().students(), 1);
  EXPECT_EQ(spec->teachers().at("default").numerics(), "exact");
}

TEST(JobFileTest, LossesArePresentWhenNamedAndCrossEntropyAlways) {
  const auto spec = Parse(kSmallJob);
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_TRUE(spec->losses().has_ce());
  EXPECT_DOUBLE_EQ(spec->losses().ce().aux_weight(), 0.4);
  EXPECT_TRUE(spec->losses().has_kd());
  EXPECT_DOUBLE_EQ(spec->losses().kd().temperature(), 1);
  EXPECT_EQ(spec->losses().kd().teacher(), "default");
  EXPECT_FALSE(spec->losses().has_icsd());
}

TEST(JobFileTest, TildeRemovesABlock) {
  const auto spec = Parse(kSmallJob, {"losses.ce=~"});
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_FALSE(spec->losses().has_ce());
}

TEST(JobFileTest, UnknownKeyNamesLineAndNearestKey) {
  const std::string text = std::string(kSmallJob) + "run:\n  student: 2\n";
  EXPECT_EQ(Refusal(text),
            "job.yaml:8: run.student: unknown field, did you mean `students`? (reflux explain "
            "run)");
  EXPECT_EQ(Refusal("teacher: {checkpoint: t}\ndata: {format: camvid, root: x}\nstudent: {model: "
                    "deeplabv3_resnet18}\n"
                    "train: {steps: 1}\nlosses:\n  icsd:\n    tempature: 2\n"),
            "job.yaml:7: losses.icsd.tempature: unknown field, did you mean `temperature`? "
            "(reflux explain losses.icsd)");
}

TEST(JobFileTest, UnknownKeyFarFromAllListsThem) {
  EXPECT_THAT(Refusal(std::string(kSmallJob) + "zebra: 1\n"),
              testing::StartsWith("job.yaml:7: zebra: unknown field, known: name, data, teachers"));
  EXPECT_THAT(Refusal(kSmallJob, {"teacher.layuot=reflux"}),
              HasSubstr("--set teacher.layuot=reflux: teacher.layuot: unknown field, did you mean "
                        "`layout`? (reflux explain teacher)"));
}

TEST(JobFileTest, WrongTypesNameTheirLine) {
  const std::string text = R"(name: small
data: {format: camvid, root: x, flip: 1, crop: 360, scale: [a, 2]}
student: {model: deeplabv3_resnet18}
losses: 3
train:
  steps: 1.5
  seed: -1
  learning_rate: fast
  global_batch: "8"
)";
  EXPECT_EQ(Refusal(text, absl::StatusCode::kInvalidArgument),
            "job.yaml:2: data.flip: expected true or false, got `1`\n"
            "job.yaml:2: data.crop: expected a list of whole numbers, got `360`\n"
            "job.yaml:2: data.scale: expected a list of numbers, got `a`\n"
            "job.yaml:4: losses: expected a block of fields, got `3`\n"
            "job.yaml:6: train.steps: expected a whole number, got `1.5`\n"
            "job.yaml:7: train.seed: expected a whole number from 0, got `-1`\n"
            "job.yaml:8: train.learning_rate: expected a number, got `fast`\n"
            "job.yaml:9: train.global_batch: expected a whole number, got the text `8`");
}

TEST(JobFileTest, BadYamlAndKeysGivenTwiceNameTheirLine) {
  EXPECT_THAT(Refusal("name: a\ntrain: {steps: 1\n"), testing::StartsWith("job.yaml:3: not YAML"));
  EXPECT_EQ(Refusal("name: a\ndata: {root: \xff}\n"), "job.yaml:2: the text is not UTF-8");
  EXPECT_EQ(Refusal("name: a\ntrain: {}\nname: b\n"),
            "job.yaml:3: `name` is given twice (first in line 1)");
  const std::string more = " a second document (one job a file), or a stray comma";
  EXPECT_EQ(Refusal("name: a\n---\nname: b\n"), "job.yaml:3:" + more);
  EXPECT_EQ(Refusal("name: a\n---\n"), "job.yaml:3:" + more);
  // Of these YAML::LoadAll makes documents until memory ends.
  EXPECT_EQ(Refusal(","), "job.yaml:1:" + more);
  EXPECT_EQ(Refusal("# a job\n, name: a}\n"), "job.yaml:2:" + more);
  EXPECT_EQ(Refusal(""), "job.yaml:1: expected the blocks of a job, e.g. `data:`");
  EXPECT_EQ(Refusal("- a\n"), "job.yaml:1: expected the blocks of a job, e.g. `data:`");
  EXPECT_EQ(Refusal("teacher: {}\nteachers: {default: {}}\n"),
            "job.yaml:1: teacher: is short for teachers.default, given too");
}

TEST(JobFileTest, AliasesCannotGrowWithoutBound) {
  std::string text = "a: &a [x, x, x, x, x, x, x, x, x, x]\n";
  for (char c = 'b'; c <= 'h'; ++c) {
    const std::string last = std::string("*") + static_cast<char>(c - 1);
    text += std::string(1, c) + ": &" + c + " [";
    for (int i = 0; i < 9; ++i) text += last + ", ";
    text += last + "]\n";
  }
  EXPECT_EQ(Parse(text).status().code(), absl::StatusCode::kResourceExhausted);
}

TEST(JobFileTest, OverridesWinAndTheLastOneMost) {
  const auto spec = Parse(kSmallJob, {"train.seed=3", "train.seed=4", "losses.icsd={}",
                                      "targets.views=live", "teacher.expect_miou=50"});
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->train().seed(), 4);
  EXPECT_TRUE(spec->losses().has_icsd());
  EXPECT_EQ(spec->targets().views(), "live");
  EXPECT_EQ(spec->teachers().at("default").expect_miou(), 50);
  EXPECT_THAT(spec->teachers().at("default").checkpoint(), HasSubstr("t.safetensors"));
  EXPECT_THAT(Refusal(kSmallJob, {"train.seed"}), HasSubstr("expected PATH=VALUE"));
}

TEST(JobFileTest, RelativePathsStartAtTheFile) {
  const auto spec = Parse(kSmallJob, {"student.init=/abs/s.safetensors"});
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->data().root(), "/jobs/camvid");
  EXPECT_EQ(spec->teachers().at("default").checkpoint(), "/jobs/t.safetensors");
  EXPECT_EQ(spec->student().init(), "/abs/s.safetensors");
}

TEST(JobFileTest, ExtendsMergesBlocksAndReportsTheRecipesOwnLines) {
  const std::string folder = Folder("extends");
  ASSERT_TRUE(WriteFileAtomically(folder + "/recipes/base.yaml",
                                  "losses: {kd: {temperature: 4, weight: 2}, icsd: {}}\n"
                                  "train: {steps: 7, momentum: 0.5}\n")
                  .ok());
  const std::string text =
      "extends: recipes/base\ndata: {format: camvid, root: d}\nteacher: {checkpoint: t}\n"
      "student: {model: deeplabv3_resnet18}\nlosses: {kd: {weight: 3}, icsd: ~}\n"
      "train: {momentum: 0.6}\n";
  const auto spec = ParseJob({text, "job.yaml", folder, "job"});
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->losses().kd().temperature(), 4);
  EXPECT_EQ(spec->losses().kd().weight(), 3);
  EXPECT_FALSE(spec->losses().has_icsd());
  EXPECT_EQ(spec->train().steps(), 7);
  EXPECT_EQ(spec->train().momentum(), 0.6);

  ASSERT_TRUE(WriteFileAtomically(folder + "/recipes/base.yaml", "\ntrain: {steps: x}\n").ok());
  EXPECT_THAT(std::string(ParseJob({text, "job.yaml", folder, "job"}).status().message()),
              HasSubstr("/recipes/base.yaml:2: train.steps: expected a whole number, got `x`"));
}

TEST(JobFileTest, MissingAndCircularRecipes) {
  EXPECT_THAT(Refusal("extends: recipes/nothing\n"),
              testing::AllOf(HasSubstr("job.yaml:1: extends: no recipe `recipes/nothing`"),
                             HasSubstr("there are: "), HasSubstr("cirkd-cityscapes-40k")));
  const std::string folder = Folder("circle");
  ASSERT_TRUE(WriteFileAtomically(folder + "/a.yaml", "extends: a\n").ok());
  EXPECT_THAT(std::string(LoadJobFile(folder + "/a.yaml").status().message()),
              HasSubstr("extend each other: a circle?"));
}

TEST(JobFileTest, FilesGiveTheirNameAndAreBounded) {
  const std::string folder = Folder("load");
  const std::string path = folder + "/my job.yaml";
  ASSERT_TRUE(WriteFileAtomically(path, std::string(kSmallJob).substr(12)).ok());
  const auto spec = LoadJobFile(path);
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->name(), "my-job");
  EXPECT_EQ(spec->data().root(), folder + "/camvid");
  EXPECT_EQ(LoadJobFile(folder + "/none.yaml").status().code(), absl::StatusCode::kNotFound);
  ASSERT_TRUE(WriteFileAtomically(path, std::string(kMaxJobFileBytes + 1, '#')).ok());
  EXPECT_EQ(LoadJobFile(path).status().code(), absl::StatusCode::kResourceExhausted);
}

TEST(JobFileTest, EveryRecipeOfTheSourceTreeMakesAJob) {
  const std::vector<Recipe> recipes = Recipes(testing::TempDir());
  EXPECT_GE(recipes.size(), 24u);
  for (const Recipe& recipe : recipes) {
    const auto spec =
        Parse("extends: recipes/" + recipe.name + "\ndata: {root: d}\nteacher: {checkpoint: t}\n");
    ASSERT_TRUE(spec.ok()) << recipe.name << ": " << spec.status();
    EXPECT_NE(recipe.summary, "") << recipe.name;
    const auto is = [&](const char* method) { return absl::StartsWith(recipe.name, method); };
    EXPECT_EQ(spec->losses().has_i2ckd(), is("i2ckd-")) << recipe.name;
    EXPECT_EQ(spec->losses().has_icsd(), is("icsd-") || is("aicsd-")) << recipe.name;
    EXPECT_EQ(spec->losses().has_afdcd(), is("afdcd-")) << recipe.name;
    EXPECT_EQ(spec->losses().has_frskd() || spec->losses().has_frskd_classifier(), is("frskd-"))
        << recipe.name;
    EXPECT_EQ(NeedsTeacher(spec->losses()), !is("cirkd-") && !is("frskd-")) << recipe.name;
  }
}

TEST(JobFileTest, CifarHasViewsOfItsOwn) {
  const std::string job =
      "data: {format: cifar10, root: d}\nstudent: {model: wrn16x2}\ntrain: {steps: 1}\n";
  const v1::DataSpec cifar = Parse(job)->data();
  EXPECT_EQ(cifar.crop(1), 32);
  EXPECT_EQ(cifar.scale(0), 1);
  EXPECT_EQ(cifar.padding(), 4);
  const v1::DataSpec given = Parse(job, {"data.padding=0", "data.scale=[0.5, 1]"})->data();
  EXPECT_EQ(given.padding(), 0);
  EXPECT_EQ(given.scale(0), 0.5);
  EXPECT_EQ(Parse(kSmallJob)->data().padding(), 0);
}

// Recipes extend recipes: what the last says holds.
TEST(JobFileTest, PublishedSettingsReachTheJob) {
  const auto spec = [](const std::string& recipe) {
    return Parse("extends: recipes/" + recipe + "\ndata: {root: d}\nteacher: {checkpoint: t}\n")
        .value();
  };
  EXPECT_EQ(spec("afdcd-camvid-psp-r18").student().model(), "psp_resnet18");
  EXPECT_EQ(spec("afdcd-camvid-psp-r18").losses().afdcd().contrast_weight(), 0.01);
  EXPECT_EQ(spec("afdcd-ade20k-r18").losses().kd().weight(), 0.5);
  EXPECT_EQ(spec("afdcd-coco-stuff-r18").train().steps(), 80000);
  EXPECT_EQ(spec("aicsd-cityscapes-mbv2").train().epochs(), 200);
  EXPECT_EQ(spec("aicsd-cityscapes-mbv2").train().head_lr_multiplier(), 10);
  EXPECT_EQ(spec("frskd-camvid-r18").losses().frskd().taps_size(), 4);
  const v1::JobSpec pyramid = spec("frskd-voc-b0");
  EXPECT_EQ(pyramid.student().model(), "efficientdet_b0_seg");
  EXPECT_EQ(pyramid.losses().frskd().taps_size(), 6);
  EXPECT_EQ(pyramid.train().global_batch(), 32);
  EXPECT_EQ(pyramid.train().lr_milestones_size(), 1);
  const v1::JobSpec wide = spec("frskd-cifar100-wrn16x2");
  EXPECT_EQ(wide.student().model(), "wrn16x2");
  EXPECT_EQ(wide.losses().frskd_classifier().beta(), 100);
  EXPECT_EQ(wide.train().lr_schedule(), "step");
}

// The job files of the user's guide: right, but ahead of this version.
TEST(JobFileTest, PublishedJobFileIsRightButAheadOfThisVersion) {
  const absl::Status status = LoadJobFile(DataFile("icsd.yaml")).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented) << status;
  const std::string file = DataFile("icsd.yaml");
  EXPECT_EQ(status.message(),
            file + ":9: run.launcher: not available in this version: launcher slurm\n" + file +
                ":9: run.time_limit: not available in this version: run.time_limit\n" + file +
                ":9: run.release_teacher: not available in this version: run.release_teacher\n" +
                file + ":10: run.slurm: not available in this version: run.slurm");
}

TEST(JobFileTest, PublishedOwnDataIsRead) {
  // The guide shows the data block alone.
  const auto spec =
      LoadJobFile(DataFile("own-data.yaml"), {"student.model=deeplabv3_resnet18", "train.steps=1"});
  ASSERT_TRUE(spec.ok()) << spec.status();
  const std::string folder = DataFile("");
  EXPECT_EQ(spec->data().images(), folder + "DIR");
  EXPECT_EQ(spec->data().unlabelled(), folder + "DIR");
  EXPECT_EQ(spec->data().splits().at("val"), folder + "val.txt");
  EXPECT_EQ(spec->data().label_map().at(11), 2);
  EXPECT_EQ(spec->data().classes_size(), 3);
}

TEST(JobFileTest, PublishedSweepIsRightButAheadOfThisVersion) {
  const absl::Status status = LoadJobFile(DataFile("three-losses.yaml")).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented) << status;
  EXPECT_EQ(status.message(),
            DataFile("three-losses.yaml") +
                ":1: kind: not available in this version: starting the jobs of a sweep (a later "
                "version does; `reflux validate`, `plan`, `fill` and `targets coverage` take one)");
}

TEST(JobFileTest, SweepsAreCheckedForUnknownKeys) {
  EXPECT_EQ(Refusal("kind: sweep\nname: s\nbase: b.yaml\nvariants:\n  a: {losses: {icds: {}}}\n"
                    "grid: {train.sead: [0], train.steps: [1, x], name: 3}\nreports: {}\n",
                    absl::StatusCode::kInvalidArgument),
            "job.yaml:5: variants.a.losses.icds: unknown field, did you mean `icsd`? (reflux "
            "explain variants.a.losses)\n"
            "job.yaml:6: train.sead: unknown field, did you mean `seed`? (reflux explain train)\n"
            "job.yaml:6: train.steps: expected a whole number, got `x`\n"
            "job.yaml:6: grid.name: expected a list of values\n"
            "job.yaml:7: reports: unknown field, did you mean `report`? (reflux explain)");
  EXPECT_EQ(Refusal("kind: swepe\n"),
            "job.yaml:1: kind: `swepe` is not allowed; one of job, sweep");
}

}  // namespace
}  // namespace reflux
