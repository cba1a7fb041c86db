// Views `whole` and `auto` in whole runs, with a real teacher and a real store.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <opencv2/imgcodecs.hpp>

#include "cache/caching_source.h"
#include "cache/rocks_target_store.h"
#include "common/base/file.h"
#include "common/spec/job_file.h"
#include "distill/evaluation/view_comparison.h"
#include "job_plan/data_plan.h"
#include "job_plan/teacher_plan.h"
#include "job_plan/view_notes.h"
#include "student_worker/collectives/communicator.h"
#include "student_worker/trainer.h"
#include "tests/contract/cache_fixtures.h"
#include "tests/e2e/proof_scene.h"

namespace reflux {
namespace {

constexpr int kImages = 4, kValImages = 2;

struct LossObserver : TrainingObserver {
  void OnStep(const StepReport& report) override {
    for (const auto& [name, value] : report.losses) losses.push_back(value);
  }
  std::vector<double> losses;
};

class DerivedViewsTest : public testing::Test {
 protected:
  void SetUp() override {
    root_ = testing::TempDir() + "reflux_" +
            testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(root_);
    std::filesystem::create_directories(root_);
    WriteProofImages(root_ + "/images", kImages);
    WriteProofTeacher(root_ + "/teacher.safetensors", "deeplabv3_resnet18");
    Read({});
    local_ = MakeLocalSource(
        LoadTeacher(spec_.teachers().at("default"), spec_.data()).value(),
        [root = root_ + "/images"](const Locator& locator) { return ReadImageFile(root, locator); },
        {});
    store_ =
        RocksTargetStore::Open({.directory = root_ + "/cache", .min_free_disk_bytes = 0}).value();
    notes_ = MakeStoreNotes(*store_);
    caching_ = MakeCachingSource(*store_, *local_);
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  void Read(std::vector<std::string> overrides) {
    overrides.insert(overrides.begin(), {"train.steps=8", "train.epochs=0"});
    const auto spec = ParseJob(
        {.text = ProofYaml({.root = root_, .losses = "{kd: {}, i2ckd: {tap: aspp}}"})}, overrides);
    ASSERT_TRUE(spec.ok()) << spec.status();
    spec_ = *spec;
  }

  absl::StatusOr<std::vector<double>> Train(const std::string& name, TargetSource& source,
                                            CacheNotes* notes) {
    SingleProcessCommunicator communicator;
    LossObserver observer;
    auto trainer = Trainer::Create({.spec = spec_,
                                    .directory = root_ + "/" + name,
                                    .sources = {{"default", {.source = &source, .notes = notes}}}},
                                   communicator, {&observer});
    if (!trainer.ok()) return trainer.status();
    if (const auto end = (*trainer)->Run(); !end.ok()) return end.status();
    return observer.losses;
  }

  int64_t Inferred() const { return local_->GetTeacherInfo({})->images_inferred; }
  std::string Chosen(const std::string& run) const {
    return ReadFile(root_ + "/" + run + "/views.txt", 100).value();
  }

  std::string root_;
  v1::JobSpec spec_;
  std::unique_ptr<TargetSource> local_;
  std::unique_ptr<RocksTargetStore> store_;
  std::unique_ptr<CacheNotes> notes_;
  std::unique_ptr<CachingSource> caching_;
};

TEST_F(DerivedViewsTest, OfWholeImagesAreLiveMapsToTheBit) {
  const std::vector<std::string> whole_image = {"data.crop=[120, 160]", "data.scale=[1, 1]",
                                                "data.flip=false", "targets.whole_tolerance=100"};
  Read(whole_image);
  spec_.mutable_targets()->set_views("live");
  const auto live = Train("live", *local_, nullptr);
  spec_.mutable_targets()->set_views("whole");
  const auto whole = Train("whole", *local_, nullptr);
  ASSERT_TRUE(live.ok() && whole.ok()) << live.status() << whole.status();
  ASSERT_FALSE(live->empty());
  EXPECT_EQ(*live, *whole);
}

TEST_F(DerivedViewsTest, FreshCropsCostOneInferenceAnImage) {
  // Crops larger than the smallest images: some positions are padding.
  Read({"targets.views=whole", "targets.whole_tolerance=100", "data.scale=[0.6, 1.5]"});
  const auto first = Train("first", *caching_, notes_.get());
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(Inferred(), kImages);
  EXPECT_EQ(store_->stats().entries, 2 * kImages);
  for (const double loss : *first) EXPECT_TRUE(std::isfinite(loss));
  EXPECT_EQ(*Train("again", *caching_, notes_.get()), *first);
  spec_.mutable_train()->set_seed(77);
  EXPECT_NE(*Train("seed", *caching_, notes_.get()), *first);
  EXPECT_EQ(Inferred(), kImages);
}

TEST_F(DerivedViewsTest, TheComparisonIsKeptWithTheTargets) {
  // Whatever this untrained teacher loses, at most 100 points are lost.
  Read({"targets.views=whole", "targets.whole_tolerance=99.9"});
  const auto first = Train("first", *caching_, notes_.get());
  ASSERT_TRUE(first.ok()) << first.status();
  const int64_t inferred = Inferred();
  EXPECT_EQ(inferred, kImages + 2 * kValImages) << "the whole image and a crop of each val image";
  ASSERT_TRUE(Train("second", *local_, notes_.get()).ok());
  EXPECT_EQ(Inferred() - inferred, 8 * 4) << "only training asked: the figures were known";
}

TEST_F(DerivedViewsTest, ARefusalHasFiguresAndAWayOut) {
  Read({"targets.views=whole", "targets.whole_tolerance=0"});
  const auto val = OpenValSplit(spec_.data()).value();
  const auto teacher = local_->GetTeacherInfo({}).value();
  ViewComparisonOptions options{.policy = PlanViews(spec_).value(),
                                .specs = {{.tap = "aspp"}, {.tap = "logits"}}};
  const auto measured = CompareViews(*local_, teacher, *val, options, nullptr);
  ASSERT_TRUE(measured.ok()) << measured.status();
  const auto run = Train("run", *caching_, notes_.get());
  EXPECT_EQ(run.ok(), measured->loss() <= 0) << Describe(*measured);
  if (!run.ok()) {
    EXPECT_TRUE(absl::IsFailedPrecondition(run.status()));
    EXPECT_THAT(std::string(run.status().message()), testing::HasSubstr("`replay: 8` would do"));
  }
}

TEST_F(DerivedViewsTest, ComparisonOfTheSameViewFindsNoDifference) {
  Read({"data.crop=[120, 160]", "data.scale=[1, 1]", "data.flip=false", "targets.views=whole"});
  const auto val = OpenValSplit(spec_.data()).value();
  const auto teacher = local_->GetTeacherInfo({}).value();
  ViewComparisonOptions options{.policy = PlanViews(spec_).value(), .specs = {{.tap = "c4"}}};
  const auto same = CompareViews(*local_, teacher, *val, options, nullptr);
  ASSERT_TRUE(same.ok()) << same.status();
  ASSERT_EQ(same->taps.size(), 2);
  EXPECT_EQ(same->images, kValImages);
  EXPECT_EQ(same->taps[0].tap, "logits");
  EXPECT_EQ(same->taps[0].positions, kValImages * 15 * 20);
  EXPECT_EQ(same->taps[0].kl, 0);
  EXPECT_EQ(same->taps[0].agreement, 1);
  EXPECT_NEAR(same->taps[1].cosine, 1, 1e-5);
  EXPECT_LT(same->taps[1].kl, 0) << "only logits have classes";
  EXPECT_EQ(same->loss(), 0);

  options.kind = ViewKind::kFlip;
  const auto flipped = CompareViews(*local_, teacher, *val, options, nullptr);
  ASSERT_TRUE(flipped.ok()) << flipped.status();
  EXPECT_LT(flipped->taps[1].cosine, 0.9999);
  EXPECT_GT(flipped->taps[0].kl, 0);

  const ViewComparison read =
      DecodeViewNote(EncodeViewNote(*flipped, "camvid", options, absl::Now())).value();
  EXPECT_EQ(Describe(read), Describe(*flipped));
  EXPECT_TRUE(absl::IsDataLoss(DecodeViewNote("no message").status()));
}

TEST_F(DerivedViewsTest, TheTeacherDecodesAsTheViewSays) {
  const std::string jpeg = ReadFile(root_ + "/images/train/000.jpg", 1 << 20).value();
  const cv::Mat half = DecodeImage(jpeg, 2).value();
  std::vector<uint8_t> png;
  cv::imencode(".png", half, png);
  View view = WholeView(half.rows - 8, half.cols - 8);
  TargetRequest request{
      .teacher = local_->GetTeacherInfo({})->identity, .samples = {}, .specs = {{.tap = "logits"}}};
  for (const std::string& bytes : {std::string(png.begin(), png.end()), jpeg, jpeg}) {
    request.samples.push_back({.digest = Sha256::Of(bytes),
                               .view = view,
                               .locator = {},
                               .image = std::make_shared<const std::string>(bytes)});
    view.decode_shrink = 2;
  }
  request.samples[2].view.decode_shrink = 1;
  CollectingSink sink;
  ASSERT_TRUE(local_->Fetch({}, request, sink).ok());
  ASSERT_TRUE(sink.AllOk());
  EXPECT_EQ(sink.at(1)->bytes, sink.at(0)->bytes);
  EXPECT_NE(sink.at(2)->bytes, sink.at(0)->bytes);
}

TEST_F(DerivedViewsTest, ScaledDecodingHasTargetsOfItsOwn) {
  const std::vector<std::string> small = {"data.crop=[48, 64]", "data.scale=[0.4, 0.5]"};
  const auto train = [&](const std::string& name, const std::string& scaled) {
    Read({small[0], small[1], "data.scaled_decode=" + scaled});
    return Train(name, *caching_, notes_.get());
  };
  const auto scaled = train("scaled", "true");
  ASSERT_TRUE(scaled.ok()) << scaled.status();
  const int64_t inferred = Inferred();
  EXPECT_EQ(*train("warm", "true"), *scaled);
  EXPECT_EQ(Inferred(), inferred);
  EXPECT_NE(*train("whole", "false"), *scaled);
  EXPECT_EQ(Inferred(), 2 * inferred);
}

TEST_F(DerivedViewsTest, AutoChoosesOnceARun) {
  Read({"targets.views=auto", "targets.whole_tolerance=99.9"});
  ASSERT_TRUE(Train("whole", *caching_, notes_.get()).ok());
  EXPECT_EQ(Chosen("whole"), "whole\n");
  ASSERT_TRUE(Train("live", *local_, nullptr).ok());
  EXPECT_EQ(Chosen("live"), "live\n") << "no cache";
  // A resumed run keeps to what it began with.
  std::filesystem::create_directories(root_ + "/resumed");
  ASSERT_TRUE(WriteFileAtomically(root_ + "/resumed/views.txt", "replay: 2\n").ok());
  const auto resumed = Train("resumed", *caching_, notes_.get());
  Read({});  // `replay: 2`
  const auto replayed = Train("replayed", *caching_, notes_.get());
  ASSERT_TRUE(resumed.ok() && replayed.ok()) << resumed.status() << replayed.status();
  EXPECT_EQ(*resumed, *replayed);
}

}  // namespace
}  // namespace reflux
