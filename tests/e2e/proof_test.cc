// The proof (docs/architecture.md): the same job gives the same bits whether its targets are
// computed in process, fetched over gRPC, or come from a cold or a warm cache.
//
// PROOF_TEACHER=deeplabv3_resnet101 runs it with the full teacher (registered with label `slow`).
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <set>

#include "cache/caching_source.h"
#include "cache/rocks_target_store.h"
#include "common/base/processor.h"
#include "common/spec/job_file.h"
#include "common/targets/remote_source.h"
#include "distill/checkpoint/model_checkpoint.h"
#include "distill/data/dataset.h"
#include "distill/data/sample_stream.h"
#include "job_plan/open_teacher.h"
#include "student_worker/collectives/communicator.h"
#include "student_worker/trainer.h"
#include "teacher_server/teacher_server.h"
#include "tests/contract/rewrite_stored_value.h"
#include "tests/e2e/proof_scene.h"

namespace reflux {
namespace {

constexpr int kImages = 8, kBatch = 4, kSteps = 6, kReplay = 2;
constexpr uint64_t kSeed = 5;

struct RecordingObserver : TrainingObserver {
  void OnStep(const StepReport& report) override {
    for (const auto& [name, value] : report.losses) losses.push_back(value);
  }
  std::vector<double> losses;  // every term of every step
};

struct RunResult {
  std::vector<double> losses;
  std::map<std::string, torch::Tensor> weights;
  bool operator==(const RunResult& other) const {
    if (losses != other.losses || weights.size() != other.weights.size()) return false;
    for (const auto& [name, value] : weights) {
      if (!torch::equal(value, other.weights.at(name))) return false;
    }
    return true;
  }
};

struct Case {
  const char* name;
  const char* losses;
  const char* precision;
  const char* student = "deeplabv3_resnet18";
  const char* teacher = "deeplabv3_resnet18";
};

class ProofTest : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    root_ = testing::TempDir() + "reflux_proof_" + GetParam().name;
    std::filesystem::remove_all(root_);
    std::filesystem::create_directories(root_);
    WriteProofImages(root_ + "/images", kImages);
    const char* teacher = std::getenv("PROOF_TEACHER");
    WriteProofTeacher(root_ + "/teacher.safetensors",
                      teacher != nullptr ? teacher : GetParam().teacher);
    spec_ = ParseJob({.text = ProofYaml({.root = root_,
                                         .losses = GetParam().losses,
                                         .precision = GetParam().precision,
                                         .student = GetParam().student})})
                .value();
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  OpenedTeacher Open() {
    const std::string images = root_ + "/images";
    return OpenTeacher(
               spec_, "default",
               {.read_image =
                    [images](const Locator& locator) { return ReadImageFile(images, locator); }})
        .value();
  }
  absl::StatusOr<ServedTeacher> Load() {
    OpenedTeacher opened = Open();
    return ServedTeacher{.source = std::move(opened.source),
                         .identity = opened.identity,
                         .bit_exact = opened.bit_exact};
  }

  RunResult Train(const std::string& name, TargetSource& source) {
    SingleProcessCommunicator communicator;
    RecordingObserver observer;
    auto trainer = Trainer::Create({.spec = spec_,
                                    .directory = root_ + "/" + name,
                                    .sources = {{"default", {.source = &source}}}},
                                   communicator, {&observer});
    EXPECT_TRUE(trainer.ok()) << trainer.status();
    if (!trainer.ok()) return {};
    const auto end = (*trainer)->Run();
    EXPECT_TRUE(end.ok()) << end.status();
    RunResult result{.losses = observer.losses};
    for (const auto& item : (*trainer)->student().named_parameters())
      result.weights[item.key()] = item.value();
    for (const auto& item : (*trainer)->student().named_buffers())
      result.weights[item.key()] = item.value();
    return result;
  }

  // Distinct (sample, view) pairs that the run draws.
  static int64_t DistinctViews() {
    const SampleStream stream(
        {.samples = kImages, .global_batch = kBatch, .replay = kReplay, .seed = kSeed});
    std::set<std::pair<int64_t, int64_t>> views;
    for (int step = 0; step < kSteps; ++step) {
      for (const Draw& draw : stream.Draws(step, 0, 1)) views.insert({draw.sample, draw.view});
    }
    return views.size();
  }

  static int64_t Inferred(TargetSource& source) {
    return source.GetTeacherInfo({})->images_inferred;
  }

  std::string root_;
  v1::JobSpec spec_;
};

TEST_P(ProofTest, EverySourceGivesTheSameBits) {
  if (std::string(GetParam().precision) == "bf16" && !ComputesBf16Fast()) {
    GTEST_SKIP() << "bf16 would take this processor, which has no AVX-512, tens of minutes";
  }
  const auto local = Open().source;
  const RunResult of_local = Train("local", *local);
  EXPECT_EQ(of_local.losses.size() % kSteps, 0);
  EXPECT_FALSE(of_local.losses.empty());
  EXPECT_EQ(Inferred(*local), kSteps * kBatch);
  // What a run writes, another can use as its teacher.
  const auto written = LoadModelCheckpoint(root_ + "/local/student.safetensors");
  EXPECT_TRUE(written.ok()) << written.status();

  auto server = TeacherServer::Start([this] { return Load(); }, {}, nullptr).value();
  const auto remote = MakeRemoteSource({.endpoint = server->address()});
  EXPECT_TRUE(Train("remote", *remote) == of_local) << "remote differs from local";
  EXPECT_EQ(Inferred(*remote), kSteps * kBatch);

  const std::string cache = root_ + "/cache";
  {
    const auto store =
        RocksTargetStore::Open({.directory = cache, .min_free_disk_bytes = 0}).value();
    const int64_t before = Inferred(*remote);
    const auto caching = MakeCachingSource(*store, *remote);
    EXPECT_TRUE(Train("cold", *caching) == of_local) << "cold cache differs from local";
    EXPECT_EQ(Inferred(*remote) - before, DistinctViews());
    EXPECT_TRUE(Train("warm", *caching) == of_local) << "warm cache differs from local";
    EXPECT_EQ(Inferred(*remote) - before, DistinctViews()) << "the warm cache woke the teacher";
  }

  // Negative control: a wrong bit that passes its checksum must show, or the test compares nothing.
  ASSERT_TRUE(RewriteStoredValue(cache, 0, [](std::string& value) {
                value[value.size() / 2 | 3] ^= 0x40;
              }).ok());
  const auto store = RocksTargetStore::Open({.directory = cache, .min_free_disk_bytes = 0}).value();
  const auto caching = MakeCachingSource(*store, *remote);
  EXPECT_FALSE(Train("changed", *caching) == of_local)
      << "a changed bit of a target changed nothing";
}

INSTANTIATE_TEST_SUITE_P(
    Jobs, ProofTest,
    testing::Values(Case{"kd_i2ckd_fp32", "{kd: {}, i2ckd: {tap: aspp}}", "fp32"},
                    Case{"kd_i2ckd_bf16", "{kd: {}, i2ckd: {tap: aspp}}", "bf16"},
                    // No auxiliary head, another output stride, another family of names.
                    Case{"mobilenets_fp32", "{kd: {}, i2ckd: {tap: aspp}}", "fp32",
                         "psp_mobilenetv2", "deeplabv3plus_mobilenetv2"},
                    Case{"icsd_fp32", "{icsd: {schedule: alw, weight: 10}}", "fp32"},
                    Case{"icsd_bf16", "{icsd: {schedule: alw, weight: 10}}", "bf16"}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace reflux
