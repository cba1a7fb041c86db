// Sweeps and jobs of several teachers with the real programs: filled once, planned together, and a
// run afterwards needs no teacher.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cache/cache_server.h"
#include "cache/inventory.h"
#include "common/base/file.h"
#include "common/spec/job_file.h"
#include "distill/data/dataset.h"
#include "job_plan/open_teacher.h"
#include "teacher_server/teacher_server.h"
#include "tests/e2e/program.h"
#include "tests/e2e/proof_scene.h"

namespace reflux {
namespace {

using ::testing::HasSubstr;

constexpr char kSweep[] = R"(
kind: sweep
name: losses
base: job.yaml
variants:
  kd: {losses: {i2ckd: ~}}
  both: {}
baseline: true
grid: {train.seed: [0, 1]}
)";

class SweepTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(WriteProofScene(root_, 4, "deeplabv3_resnet18"));
    before_ = std::filesystem::current_path();
    std::filesystem::current_path(root_);  // where runs/ is
  }
  void TearDown() override {
    std::filesystem::current_path(before_);
    if (!HasFailure()) std::filesystem::remove_all(root_);
  }
  static nlohmann::json Json(const std::string& arguments) {
    const ShellOutput output = RunReflux(arguments + " --json", /*with_errors=*/false);
    EXPECT_EQ(output.exit_code, 0) << arguments;
    return nlohmann::json::parse(output.text, nullptr, /*allow_exceptions=*/false);
  }
  static StoreStats Stats(const std::string& folder) {
    return OpenFolderInventory(folder).value()->Stats().value();
  }

  const std::string root_ = testing::TempDir() + "reflux_sweep_" +
                            testing::UnitTest::GetInstance()->current_test_info()->name();
  std::filesystem::path before_;
};

// 4 images, two views: 8 of each tap, whatever the seed. kd reads logits, i2ckd aspp.
TEST_F(SweepTest, IsFilledOnceAndItsRunsNeedNoTeacher) {
  ASSERT_TRUE(WriteFileAtomically("sweep.yaml", kSweep).ok());
  EXPECT_THAT(RunReflux("fill sweep.yaml").text, HasSubstr("add --set targets.cache=losses"));
  const std::string sweep = "sweep.yaml --set targets.cache=losses";
  ShellOutput output = RunReflux("fill " + sweep);
  EXPECT_EQ(output.exit_code, 0) << output.text;
  EXPECT_THAT(output.text, HasSubstr("16 of 16 targets cached, 16 by this fill.\n"));
  const std::string cache = root_ + "/runs/caches/losses";
  EXPECT_EQ(Stats(cache).entries, 16);
  EXPECT_EQ(RunReflux("targets coverage " + sweep).text,
            "16 of 16 targets cached.\n"
            "  losses-kd-seed-0: 8 of 8 targets cached.\n"
            "  losses-kd-seed-1: 8 of 8 targets cached.\n"
            "  losses-both-seed-0: 16 of 16 targets cached.\n"
            "  losses-both-seed-1: 16 of 16 targets cached.\n"
            "  losses-baseline-seed-0: nothing to cache.\n"
            "  losses-baseline-seed-1: nothing to cache.\n");

  // A server that has the cache and no teacher answers every request of a run.
  const nlohmann::json job = Json("validate " + sweep + " --job losses-both-seed-1");
  ASSERT_TRUE(WriteFileAtomically("one.json", job.dump()).ok());
  const auto server = CacheServer::Start({.store = {.directory = cache}}, nullptr).value();
  output = RunShell(absl::StrCat(std::getenv("REFLUX_BIN"), "/reflux-worker --job one.json --dir ",
                                 root_, "/one --targets ", server->address(), " 2>&1"));
  EXPECT_EQ(output.exit_code, 0) << output.text;
  EXPECT_TRUE(std::filesystem::exists("one/student.safetensors"));
  EXPECT_EQ(server->store().stats().entries, 16);
}

TEST_F(SweepTest, IsPlannedTogether) {
  ASSERT_TRUE(WriteFileAtomically("sweep.yaml", kSweep).ok());
  const std::string sweep = "sweep.yaml --set targets.cache=losses --set data.crop=[48,64]";
  const nlohmann::json plan = Json("plan " + sweep + " --steps 1 --drive-mib 16");
  EXPECT_EQ(plan["students"], 4);
  EXPECT_EQ(plan["coverage"]["targets"], 16);
  EXPECT_EQ(plan["missing_views"], 8) << "one forward gives both taps";
  EXPECT_GT(plan["fill_seconds"], 0);
  ASSERT_EQ(plan["runs"].size(), 3u) << "seeds are measured once";
  EXPECT_EQ(plan["runs"][0]["name"], "kd");
  EXPECT_EQ(plan["runs"][0]["jobs"], 2);
  EXPECT_EQ(plan["runs"][2]["name"], "baseline");
  EXPECT_EQ(plan["runs"][2]["steps"], 3);
  double live = 0;
  for (const nlohmann::json& run : plan["runs"]) {
    ASSERT_EQ(run["modes"].size(), 3u);
    live += 2 * run["modes"][2]["run_seconds"].get<double>();
  }
  EXPECT_DOUBLE_EQ(plan["modes"][2]["seconds"], live);
  EXPECT_FALSE(plan["recommended"]["mode"].empty());
  EXPECT_EQ(RunReflux("fill " + sweep).exit_code, 0);
  EXPECT_EQ(plan["cache_bytes"].get<double>(),
            static_cast<double>(Stats(root_ + "/runs/caches/losses").live_bytes));
  for (const auto& entry : std::filesystem::directory_iterator("runs/losses")) {
    EXPECT_EQ(entry.path().filename(), "manifests") << "nothing else is left behind";
  }
}

class TwoTeachersTest : public SweepTest {
 protected:
  void SetUp() override {
    SweepTest::SetUp();
    WriteProofTeacher(root_ + "/light.safetensors", "deeplabv3_mobilenetv2");
    ASSERT_TRUE(WriteFileAtomically("two.yaml", absl::StrFormat(R"(
data: {format: camvid, root: %s/images, crop: [64, 96], scale: [0.8, 1.5], eval_size: [64, 96]}
teachers:
  deep: {checkpoint: teacher.safetensors, expect_miou: 0}
  light: {checkpoint: light.safetensors, expect_miou: 0}
student: {model: deeplabv3_resnet18}
losses: {kd: {teacher: light}, fitnet: {tap: aspp, teacher: deep, weight: 0.001}}
targets: {views: "replay: 2", codec: fp32}
train: {global_batch: 4, epochs: 3, precision: fp32, seed: 5, threads: 1}
)",
                                                                root_))
                    .ok());
  }
};

TEST_F(TwoTeachersTest, AreFilledAndPlannedTogether) {
  const nlohmann::json plan = Json("plan two.yaml --steps 1 --drive-mib 16");
  ASSERT_EQ(plan["taps"].size(), 2u);
  EXPECT_EQ(plan["taps"][0]["teacher"], "deep");
  EXPECT_EQ(plan["coverage"]["targets"], 16);
  EXPECT_GT(plan["fill_seconds"], 0);
  const ShellOutput output = RunReflux("fill two.yaml");
  EXPECT_EQ(output.exit_code, 0) << output.text;
  EXPECT_THAT(output.text, HasSubstr("16 of 16 targets cached, 16 by this fill.\n"));
  EXPECT_THAT(output.text, HasSubstr("filling from deeplabv3_mobilenetv2"));
  EXPECT_EQ(RunReflux("targets coverage two.yaml").text,
            "16 of 16 targets cached.\n  deep: 8 of 8 targets cached.\n"
            "  light: 8 of 8 targets cached.\n");
  EXPECT_EQ(plan["cache_bytes"].get<double>(),
            static_cast<double>(Stats(root_ + "/runs/two/cache").live_bytes));
  EXPECT_EQ(RunReflux("run two.yaml").exit_code, 0);
  EXPECT_EQ(Stats(root_ + "/runs/two/cache").entries, 16) << "the run asked for nothing else";
}

// A sweep over teachers: one is loaded after the other, the folder stays one cache.
TEST_F(TwoTeachersTest, OfASweepAreFilledOneAfterTheOther) {
  ASSERT_TRUE(
      WriteFileAtomically("teachers.yaml",
                          "kind: sweep\nname: teachers\nbase: job.yaml\ngrid: "
                          "{teacher.checkpoint: [teacher.safetensors, light.safetensors]}\n")
          .ok());
  const ShellOutput output =
      RunReflux("fill teachers.yaml --set targets.cache=lab --set losses.i2ckd=~");
  EXPECT_EQ(output.exit_code, 0) << output.text;
  EXPECT_THAT(output.text, HasSubstr("16 of 16 targets cached, 16 by this fill.\n"));
  EXPECT_EQ(Stats(root_ + "/runs/caches/lab").entries, 16);
}

// Each teacher's targets go to its own servers.
TEST_F(TwoTeachersTest, AreFilledIntoTheirOwnCaches) {
  const v1::JobSpec spec = LoadJobFile("two.yaml").value();
  OpenTeacherOptions options{.evaluate = false};
  options.read_image = [folder = root_ + "/images"](const Locator& locator) {
    return ReadImageFile(folder, locator);
  };
  std::vector<std::unique_ptr<TeacherServer>> teachers;
  std::map<std::string, std::unique_ptr<CacheServer>> caches;
  std::string flags;
  for (const std::string name : {"deep", "light"}) {
    const auto load = [&]() -> absl::StatusOr<ServedTeacher> {
      OpenedTeacher opened = OpenTeacher(spec, name, options).value();
      return ServedTeacher{.source = std::move(opened.source), .identity = opened.identity};
    };
    teachers.push_back(TeacherServer::Start(load, {}, nullptr).value());
    caches[name] = CacheServer::Start({.store = {.directory = root_ + "/" + name},
                                       .teacher = teachers.back()->address()},
                                      nullptr)
                       .value();
    absl::StrAppend(&flags, " --cache ", name, "=", caches[name]->address());
  }
  EXPECT_EQ(RunReflux("targets coverage two.yaml" + flags).text,
            "0 of 16 targets cached.\n  deep: 0 of 8 targets cached.\n"
            "  light: 0 of 8 targets cached.\n");
  ShellOutput output = RunReflux("fill two.yaml --cache deep=" + caches["deep"]->address());
  EXPECT_EQ(output.exit_code, 1);
  EXPECT_THAT(output.text, HasSubstr("no servers for the teacher light"));
  output = RunReflux("fill two.yaml" + flags);
  EXPECT_EQ(output.exit_code, 0) << output.text;
  EXPECT_THAT(output.text, HasSubstr("16 of 16 targets cached, 16 by this fill.\n"));
  for (const auto& [name, cache] : caches) EXPECT_EQ(cache->store().stats().entries, 8) << name;
}

}  // namespace
}  // namespace reflux
