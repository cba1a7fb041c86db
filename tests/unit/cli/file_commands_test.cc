#include "cli/file_commands.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "common/base/exit_codes.h"
#include "common/base/file.h"
#include "common/spec/job_file.h"
#include "tests/unit/cli/fake_servers.h"

namespace reflux {
namespace {

using ::testing::HasSubstr;

constexpr char kJob[] =
    "name: small\ndata: {format: camvid, root: d}\nteacher: {checkpoint: t}\n"
    "student: {model: deeplabv3_resnet18}\nlosses: {kd: {}}\ntrain: {steps: 3}\n";

std::string JobFile(const std::string& name, const std::string& text) {
  const std::string path = testing::TempDir() + "file_commands_" + name + ".yaml";
  EXPECT_TRUE(WriteFileAtomically(path, text).ok());
  return path;
}

TEST(ValidateTest, PrintsTheResolvedJob) {
  Captured captured;
  const std::string file = JobFile("good", kJob);
  EXPECT_EQ(Validate(captured.terminal, {file, {"train.seed=3"}}), kExitDone);
  EXPECT_THAT(captured.out.str(), HasSubstr(file + " is valid"));
  EXPECT_THAT(captured.out.str(), HasSubstr("\n  seed: 3\n"));
  EXPECT_EQ(captured.err.str(), "");
}

TEST(ValidateTest, JsonCanBeLoadedAgain) {
  Captured captured;
  captured.terminal.json = true;
  EXPECT_EQ(Validate(captured.terminal, {JobFile("json", kJob), {}}), kExitDone);
  const auto spec = FromJson(captured.out.str());
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->train().steps(), 3);
}

TEST(ValidateTest, TellsEveryProblemAndWhatIsNotAvailable) {
  Captured captured;
  const std::string file =
      JobFile("bad", std::string(kJob) + "run: {launcher: slurm, studends: 2}\n");
  EXPECT_EQ(Validate(captured.terminal, {file, {}}), kExitFailed);
  EXPECT_EQ(captured.out.str(), "");
  EXPECT_THAT(captured.err.str(), HasSubstr(file + ":7: run.studends: unknown field, did you mean "
                                                   "`students`? (reflux explain run)\n"));
  EXPECT_THAT(captured.err.str(), HasSubstr("not available in this version: launcher slurm\n"));
}

TEST(ValidateTest, ListsTheJobsOfASweepAndPrintsOne) {
  const std::string base = std::filesystem::path(JobFile("base", kJob)).filename().string();
  const std::string sweep =
      JobFile("sweep", "kind: sweep\nname: s\nbase: " + base + "\ngrid: {train.seed: [4, 5]}\n");
  Captured list;
  EXPECT_EQ(Validate(list.terminal, {sweep, {}}), kExitDone);
  EXPECT_THAT(list.out.str(), HasSubstr("a sweep of 2 jobs\n"));
  EXPECT_THAT(list.out.str(), HasSubstr("\ns-seed-5"));
  Captured one;
  one.terminal.json = true;
  EXPECT_EQ(Validate(one.terminal, {sweep, {}}, "s-seed-5"), kExitDone);
  EXPECT_EQ(FromJson(one.out.str())->train().seed(), 5);
  Captured none;
  EXPECT_EQ(Validate(none.terminal, {sweep, {}}, "s-seed-6"), kExitFailed);
  EXPECT_THAT(none.err.str(), HasSubstr("no job `s-seed-6`, did you mean `s-seed-"));
  Captured run;
  EXPECT_THAT(std::string(PrepareRun(run.terminal, {sweep, {}}, "").status().message()),
              HasSubstr("not available in this version: starting the jobs of a sweep"));
}

TEST(ExplainCommandTest, TextJsonAndUnknown) {
  Captured captured;
  EXPECT_EQ(Explain(captured.terminal, "losses.kd", false), kExitDone);
  EXPECT_THAT(captured.out.str(), HasSubstr("temperature: number"));
  EXPECT_EQ(Explain(captured.terminal, "losses.kq", false), kExitFailed);
  EXPECT_THAT(captured.err.str(), HasSubstr("did you mean `kd`?"));
}

// The worker is not beside the test's own program; what it would read has been written.
absl::StatusOr<v1::JobSpec> SpecOfRun(Captured& captured, const JobFileFlags& flags) {
  const std::string dir = testing::TempDir() + "file_commands_run";
  std::filesystem::remove_all(dir);
  const auto execution = PrepareRun(captured.terminal, flags, dir);
  EXPECT_EQ(execution.status().code(), absl::StatusCode::kNotFound) << execution.status();
  return LoadJobFile(dir + "/job.json");
}

TEST(PrepareRunTest, WritesTheResolvedJob) {
  Captured captured;
  const auto spec = SpecOfRun(captured, {JobFile("run", kJob), {"train.seed=9"}});
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->train().seed(), 9);
  EXPECT_EQ(captured.err.str(), "");
}

TEST(PrepareRunTest, OneStudentTakesTheWholeBatchOfSeveral) {
  Captured captured;
  const auto spec =
      SpecOfRun(captured, {JobFile("two", kJob), {"run.students=2", "train.global_batch=16"}});
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->run().students(), 1);
  EXPECT_EQ(spec->train().global_batch(), 16);
  EXPECT_THAT(captured.err.str(), HasSubstr("run.students is 2: `reflux run` trains with one"));
  EXPECT_THAT(captured.err.str(), HasSubstr("16 images"));
}

TEST(PrepareRunTest, RefusesToDoWithoutATeacherThatItNeeds) {
  Captured captured;
  const std::string file = JobFile("idle", kJob);
  const auto execution = PrepareRun(captured.terminal, {file, {"run.teachers=0"}}, "");
  EXPECT_EQ(execution.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(execution.status().message()), HasSubstr("run.teachers is 0"));
  const auto alone = SpecOfRun(captured, {file, {"run.teachers=0", "losses.kd=~"}});
  EXPECT_TRUE(alone.ok()) << alone.status();
}

TEST(ExecuteTest, SaysWhatCannotBeRun) {
  Captured captured;
  EXPECT_EQ(Execute(captured.terminal, {"/none/reflux-worker", {}}), kExitFailed);
  EXPECT_THAT(captured.err.str(), HasSubstr("/none/reflux-worker"));
}

}  // namespace
}  // namespace reflux
