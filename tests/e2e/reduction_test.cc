// Reductions at the teacher in whole runs: the same training, other keys, labels on demand.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <opencv2/imgcodecs.hpp>
#include <set>

#include "absl/strings/str_format.h"
#include "cache/caching_source.h"
#include "cache/rocks_target_store.h"
#include "common/spec/job_file.h"
#include "common/targets/remote_source.h"
#include "distill/data/sample_stream.h"
#include "job_plan/data_plan.h"
#include "job_plan/teacher_plan.h"
#include "student_worker/collectives/communicator.h"
#include "student_worker/trainer.h"
#include "teacher_server/teacher_server.h"
#include "tests/e2e/proof_scene.h"

namespace reflux {
namespace {

constexpr int kImages = 4, kReplay = 2;

struct LossObserver : TrainingObserver {
  void OnStep(const StepReport& report) override {
    for (const auto& [name, value] : report.losses) losses.push_back(value);
  }
  std::vector<double> losses;
};

// Counts what a chain asks of the source under it, by the name of the target.
class CountingSource : public TargetSource {
 public:
  explicit CountingSource(TargetSource& upstream) : upstream_(upstream) {}
  absl::Status Fetch(const FetchContext& context, const TargetRequest& request,
                     TargetSink& sink) override {
    {
      MutexLock lock(mutex_);
      for (const TargetSpec& spec : request.specs) asked_[spec.name()] += request.samples.size();
    }
    return upstream_.Fetch(context, request, sink);
  }
  absl::StatusOr<TeacherInfo> GetTeacherInfo(const FetchContext& context) override {
    return upstream_.GetTeacherInfo(context);
  }
  std::map<std::string, size_t> Take() {
    MutexLock lock(mutex_);
    return std::exchange(asked_, {});
  }

 private:
  TargetSource& upstream_;
  Mutex mutex_;
  std::map<std::string, size_t> asked_ REFLUX_GUARDED_BY(mutex_);
};

class ReductionTest : public testing::Test {
 protected:
  void SetUp() override {
    root_ = testing::TempDir() + "reflux_" +
            testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(root_);
    std::filesystem::create_directories(root_);
    WriteProofImages(root_ + "/images", kImages);
    WriteProofTeacher(root_ + "/teacher.safetensors", "deeplabv3_resnet18");
    spec_ = ParseJob({.text = ProofYaml({.root = root_, .losses = "{kd: {}, i2ckd: {tap: aspp}}"})},
                     {"targets.reduce=auto", "train.steps=8", "train.epochs=0"})
                .value();
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  std::unique_ptr<TargetSource> Local(bool with_labels = true) {
    return MakeLocalSource(
        LoadTeacher(spec_.teachers().at("default"), spec_.data()).value(),
        [root = root_ + "/images"](const Locator& locator) { return ReadImageFile(root, locator); },
        {.read_label = with_labels ? PlanLabelReader(spec_.data()) : nullptr});
  }

  std::vector<double> Train(const std::string& name, TargetSource& source) {
    SingleProcessCommunicator communicator;
    LossObserver observer;
    auto trainer = Trainer::Create({.spec = spec_,
                                    .directory = root_ + "/" + name,
                                    .sources = {{"default", {.source = &source}}}},
                                   communicator, {&observer});
    EXPECT_TRUE(trainer.ok()) << trainer.status();
    if (!trainer.ok()) return {};
    const auto end = (*trainer)->Run();
    EXPECT_TRUE(end.ok()) << end.status();
    return observer.losses;
  }

  // Flips one pixel of the label of the first training image.
  void ChangeOneLabelPixel() const {
    const std::string path = root_ + "/images/trainannot/000.png";
    cv::Mat label = cv::imread(path, cv::IMREAD_GRAYSCALE);
    label.at<uint8_t>(60, 80) = label.at<uint8_t>(60, 80) == 3 ? 4 : 3;
    ASSERT_TRUE(cv::imwrite(path, label));
  }

  // Distinct (sample, view) pairs that the run draws, of all samples or of one.
  std::set<std::pair<int64_t, int64_t>> Views(uint64_t seed) const {
    const SampleStream stream({.samples = kImages,
                               .global_batch = spec_.train().global_batch(),
                               .replay = kReplay,
                               .seed = seed});
    std::set<std::pair<int64_t, int64_t>> views;
    for (int step = 0; step < spec_.train().steps(); ++step) {
      for (const Draw& draw : stream.Draws(step, 0, 1)) views.insert({draw.sample, draw.view});
    }
    return views;
  }

  std::string root_;
  v1::JobSpec spec_;
};

TEST_F(ReductionTest, AChangedLabelPixelMissesClassSumsAndHitsLogits) {
  const auto store =
      RocksTargetStore::Open({.directory = root_ + "/cache", .min_free_disk_bytes = 0}).value();
  const auto local = Local();
  CountingSource counting(*local);
  const auto caching = MakeCachingSource(*store, counting);
  const size_t views = Views(spec_.train().seed()).size();

  const std::vector<double> before = Train("first", *caching);
  const std::map<std::string, size_t> filled = {{"logits", views}, {"aspp|class_sums", views}};
  EXPECT_EQ(counting.Take(), filled);

  ChangeOneLabelPixel();
  const std::vector<double> after = Train("second", *caching);
  const auto drawn = Views(spec_.train().seed());
  const size_t of_first =
      std::count_if(drawn.begin(), drawn.end(), [](const auto& view) { return view.first == 0; });
  const std::map<std::string, size_t> refilled = {{"aspp|class_sums", of_first}};
  EXPECT_EQ(counting.Take(), refilled) << "the views of the one image";
  EXPECT_FALSE(before.empty());
  EXPECT_NE(before, after) << "the label is read by the loss";
}

TEST_F(ReductionTest, TrainsAsWithWholeMaps) {
  const auto local = Local();
  const std::vector<double> reduced = Train("reduced", *local);
  spec_.mutable_targets()->set_reduce("none");
  const std::vector<double> whole = Train("whole", *local);
  ASSERT_EQ(reduced.size(), whole.size());
  ASSERT_FALSE(whole.empty());
  // Of the first step, whose weights are the same; from then on rounding grows.
  const size_t terms = whole.size() / spec_.train().steps();
  for (size_t i = 0; i < terms; ++i) EXPECT_NEAR(reduced[i], whole[i], 1e-5 * (1 + whole[i])) << i;
}

TEST_F(ReductionTest, ATeacherWithoutTheLabelIsSentIt) {
  const auto local = Local();
  const std::vector<double> of_local = Train("local", *local);
  const std::string images = root_ + "/images";
  const auto without_labels = [this]() -> absl::StatusOr<ServedTeacher> {
    std::shared_ptr<TargetSource> source = Local(/*with_labels=*/false);
    const TeacherIdentity identity = source->GetTeacherInfo({})->identity;
    return ServedTeacher{.source = std::move(source), .identity = identity, .bit_exact = true};
  };
  auto server = TeacherServer::Start(without_labels, {}, nullptr).value();
  const auto remote = MakeRemoteSource(
      {.endpoint = server->address(),
       .read_image = [&](const Locator& locator) { return ReadImageFile(images, locator); },
       .read_label = PlanLabelReader(spec_.data())});
  EXPECT_EQ(Train("remote", *remote), of_local) << "to the bit";

  // Another label than the digest says is refused, never answered.
  ChangeOneLabelPixel();
  TargetRequest request{.teacher = remote->GetTeacherInfo({})->identity,
                        .specs = {{.tap = "aspp", .reduction = Reduction::kClassSums}}};
  const auto train = OpenTrainSplit(spec_.data()).value();
  LabelFile label = train->ReadLabelFile(0).value();
  const std::string image = train->ReadImage(0).value();
  request.samples = {{.digest = Sha256::Of(image),
                      .view = WholeView(120, 160),
                      .locator = train->samples()[0].image,
                      .image = std::make_shared<const std::string>(image),
                      .label_digest = Sha256::Of("another label"),
                      .label = std::make_shared<const LabelFile>(label)}};
  struct Sink : TargetSink {
    void Deliver(size_t, size_t, absl::StatusOr<EncodedTarget> target) override {
      status = target.status();
    }
    absl::Status status;
  } sink;
  ASSERT_TRUE(local->Fetch({}, request, sink).ok());
  EXPECT_TRUE(absl::IsInvalidArgument(sink.status)) << sink.status;
}

TEST_F(ReductionTest, ASweepOverSeedsInfersEachImageAndViewOnce) {
  const auto store =
      RocksTargetStore::Open({.directory = root_ + "/cache", .min_free_disk_bytes = 0}).value();
  const auto local = Local();
  const auto caching = MakeCachingSource(*store, *local);
  std::set<std::pair<int64_t, int64_t>> drawn;
  for (const uint64_t seed : {0, 1, 2}) {
    spec_.mutable_train()->set_seed(seed);
    drawn.merge(Views(seed));
    EXPECT_FALSE(Train(absl::StrFormat("seed-%d", seed), *caching).empty());
  }
  ASSERT_EQ(drawn.size(), kImages * kReplay);
  EXPECT_EQ(local->GetTeacherInfo({})->images_inferred, kImages * kReplay);
}

}  // namespace
}  // namespace reflux
