#include "common/spec/sweep_jobs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "common/base/file.h"
#include "common/spec/job_teachers.h"
#include "common/spec/job_tree.h"
#include "tests/unit/common/spec/spec_fixture.h"

namespace reflux {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kHead[] = "kind: sweep\nname: s\nbase: job.yaml\n";

absl::StatusOr<JobFile> Expand(const std::string& rest, const std::string& base = kSmallJob,
                               const std::vector<std::string>& overrides = {}) {
  return ExpandSweep(ParseJobTree({kHead + rest, "sweep.yaml", "/sweeps"}).value(),
                     ParseJobTree({base, "job.yaml", "/jobs"}).value(), overrides);
}

std::vector<std::string> Names(const JobFile& file) {
  std::vector<std::string> names;
  for (const SweepJob& job : file.jobs) names.push_back(job.spec.name());
  return names;
}

// The message of a sweep that must be refused, "OK" when it is not.
std::string Refused(const std::string& rest, const std::string& base = kSmallJob,
                    const std::vector<std::string>& overrides = {}) {
  return std::string(Expand(rest, base, overrides).status().message());
}

TEST(SweepJobsTest, AreTheVariantsTimesTheGridAndTheBaselineOverTheSameSeeds) {
  const auto file = Expand(
      "variants:\n  kd: {}\n  icsd: {losses: {kd: ~, icsd: {weight: 3}}}\n"
      "baseline: true\ngrid: {train.seed: [0, 7]}\nrun: {max_gpus: 8}\nreport: {metric: miou}\n");
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->name, "s");
  EXPECT_THAT(Names(*file), ElementsAre("s-kd-seed-0", "s-kd-seed-7", "s-icsd-seed-0",
                                        "s-icsd-seed-7", "s-baseline-seed-0", "s-baseline-seed-7"));
  const v1::JobSpec& icsd = file->jobs[3].spec;
  EXPECT_EQ(file->jobs[3].variant, "icsd");
  EXPECT_EQ(icsd.train().seed(), 7);
  EXPECT_FALSE(icsd.losses().has_kd());
  EXPECT_EQ(icsd.losses().icsd().weight(), 3);
  EXPECT_EQ(icsd.data().root(), "/jobs/camvid") << "of the base's folder";
  const v1::JobSpec& baseline = file->jobs[5].spec;
  EXPECT_EQ(baseline.train().seed(), 7);
  EXPECT_TRUE(baseline.losses().has_ce());
  EXPECT_FALSE(NeedsTeacher(baseline.losses()));
}

TEST(SweepJobsTest, GridFieldsAreThoseOfSet) {
  const auto file = Expand(
      "grid:\n  teacher.checkpoint: [a.safetensors, /b.safetensors]\n"
      "  losses.kd.weight: [0.5, 1]\n  losses.icsd.weight: [2]\n  data.crop: [[64, 96]]\n",
      kSmallJob, {"targets.codec=fp32", "losses.kd.temperature=4"});
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_THAT(Names(*file),
              ElementsAre("s-checkpoint-a.safetensors-losses.kd.weight-0.5-losses.icsd.weight-2-"
                          "crop-1",
                          "s-checkpoint-a.safetensors-losses.kd.weight-1-losses.icsd.weight-2-"
                          "crop-1",
                          "s-checkpoint-_b.safetensors-losses.kd.weight-0.5-losses.icsd.weight-2-"
                          "crop-1",
                          "s-checkpoint-_b.safetensors-losses.kd.weight-1-losses.icsd.weight-2-"
                          "crop-1"));
  const v1::JobSpec& job = file->jobs[0].spec;
  EXPECT_EQ(job.teachers().at("default").checkpoint(), "/sweeps/a.safetensors");
  EXPECT_EQ(job.losses().kd().weight(), 0.5);
  EXPECT_EQ(job.losses().kd().temperature(), 4);
  EXPECT_THAT(job.data().crop(), ElementsAre(64, 96));
  EXPECT_EQ(job.targets().codec(), "fp32");
}

TEST(SweepJobsTest, ABaselineIsThereOnceForWhatItHasNot) {
  const auto file =
      Expand("baseline: true\ngrid: {losses.kd.weight: [1, 2], train.seed: [0, 1]}\n");
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_THAT(
      Names(*file),
      ElementsAre("s-weight-1-seed-0", "s-weight-1-seed-1", "s-weight-2-seed-0",
                  "s-weight-2-seed-1", "s-baseline-weight-1-seed-0", "s-baseline-weight-1-seed-1"));
}

TEST(SweepJobsTest, TellsEveryProblemOnceAtItsPlace) {
  const std::string base =
      "data: {format: camvid, root: camvid, crop: [4, 4]}\nteacher: {checkpoint: t}\n"
      "student: {model: deeplabv3_resnet18}\n";
  EXPECT_EQ(Refused("variants:\n  a: {losses: {icsd: {weight: -1}}}\n"
                    "grid: {train.seed: [0, 1], train.steps: [5, -3]}\n",
                    base),
            "job.yaml:1: data.crop: 4 is out of range [8, 16384]\n"
            "sweep.yaml:5: losses.icsd.weight: -1 is out of range [0, inf)\n"
            "sweep.yaml:6: train.steps: -3 is out of range [0, inf)");
}

TEST(SweepJobsTest, UnknownFieldsNameTheNearest) {
  EXPECT_EQ(Refused("variants:\n  a: {losses: {icds: {}}}\n"),
            "sweep.yaml:5: variants.a.losses.icds: unknown field, did you mean `icsd`? (reflux "
            "explain variants.a.losses)");
  EXPECT_EQ(Refused("grid: {train.sead: [0]}\n"),
            "sweep.yaml:4: train.sead: unknown field, did you mean `seed`? (reflux explain train)");
  EXPECT_THAT(Refused("", kSmallJob, {"train.sead=3"}), HasSubstr("did you mean `seed`?"));
}

TEST(SweepJobsTest, RefusesWhatMakesNoSense) {
  EXPECT_EQ(Refused("variants:\n  a: ~\n"),
            "sweep.yaml:5: variants.a: expected a block of fields; {} is the base as it is");
  EXPECT_EQ(Refused("grid: {train.seed: [1, 2, 1]}\n"),
            "sweep.yaml:4: grid.train.seed: `1` stands there twice");
  EXPECT_THAT(Refused("grid: {name: [a, b]}\n"), HasSubstr("named after the sweep"));
  EXPECT_THAT(Refused("variants: {a: {name: b}}\n"), HasSubstr("named after the sweep"));
  EXPECT_THAT(Refused("grid: {train.device: [cpu]}\n", kSmallJob, {"train.device=cuda"}),
              HasSubstr("the grid varies train.device (sweep.yaml:4)"));
  EXPECT_EQ(Refused("variants: {a: {losses: {kd: ~, icsd: {}}}}\ngrid: {losses.kd.weight: [1]}\n"),
            "sweep.yaml:5: grid.losses.kd.weight: variant a is without losses.kd, which this would "
            "bring back");
  EXPECT_THAT(Refused("variants: {baseline: {}}\n"),
              HasSubstr("variants.baseline: the name of what `baseline: true` adds"));
  EXPECT_THAT(Refused("grid: {targets.cache: [a-b, a_b]}\n"),
              HasSubstr("two jobs would be called s-cache-a_b"));
  std::string seeds = "0";
  for (int i = 1; i < 20; ++i) absl::StrAppend(&seeds, ", ", i);
  EXPECT_THAT(Refused("grid: {train.seed: [" + seeds + "], data.view_seed: [" + seeds + "]}\n"),
              HasSubstr("grid: more than 256 jobs"));
  EXPECT_THAT(Refused("variants: {" + std::string("a: {}, b: {}, c: {}, d: {}, e: {}, f: {}, ") +
                      "g: {}, h: {}, i: {}, j: {}, k: {}, l: {}, m: {}}\ngrid: {train.seed: [" +
                      seeds + "]}\n"),
              HasSubstr("260 jobs, more than 256"));
}

TEST(SweepJobsTest, ReadsTheBaseFromTheSweepsFolder) {
  const std::string folder = testing::TempDir() + "sweep_jobs";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  ASSERT_TRUE(WriteFileAtomically(folder + "/job.yaml", kSmallJob).ok());
  const auto load = [&](const std::string& text) {
    EXPECT_TRUE(WriteFileAtomically(folder + "/sweep.yaml", text).ok());
    return LoadJobs(folder + "/sweep.yaml");
  };
  const auto sweep = load(absl::StrCat(kHead, "grid: {train.seed: [3]}\n"));
  ASSERT_TRUE(sweep.ok()) << sweep.status();
  EXPECT_TRUE(sweep->sweep);
  EXPECT_THAT(Names(*sweep), ElementsAre("s-seed-3"));
  const auto job = LoadJobs(folder + "/job.yaml", {"train.seed=2"});
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_FALSE(job->sweep);
  EXPECT_EQ(job->name, "small");
  EXPECT_EQ(job->jobs.at(0).spec.train().seed(), 2);
  EXPECT_THAT(std::string(load("kind: sweep\nname: s\nbase: none.yaml\n").status().message()),
              HasSubstr("sweep.yaml:3: base: "));
  EXPECT_THAT(std::string(load("kind: sweep\nname: s\nbase: sweep.yaml\n").status().message()),
              HasSubstr("sweep.yaml:3: base: a sweep; expected a job file"));
  EXPECT_TRUE(absl::IsNotFound(LoadJobs(folder + "/none.yaml").status()));
}

}  // namespace
}  // namespace reflux
