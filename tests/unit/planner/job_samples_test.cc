#include "planner/job_samples.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <tuple>

#include "common/spec/job_file.h"
#include "distill/data/sample_stream.h"
#include "distill/data/view.h"
#include "job_plan/data_plan.h"

namespace reflux {
namespace {

using ::testing::HasSubstr;

// Images that exist in name alone.
class NamedImages : public Dataset {
 public:
  explicit NamedImages(int count) {
    for (int i = 0; i < count; ++i) {
      samples_.push_back({.image = {.dataset = "named", .path = std::to_string(i) + ".png"}});
    }
  }
  const std::string& format() const override { return name_; }
  const std::vector<SampleFiles>& samples() const override { return samples_; }
  const std::vector<std::string>& class_names() const override { return names_; }
  const std::vector<cv::Vec3b>& palette() const override { return colours_; }
  int ignore_index() const override { return 255; }
  absl::StatusOr<cv::Mat> ReadLabel(size_t) const override { return absl::InternalError(""); }
  absl::StatusOr<std::string> ReadImage(size_t) const override { return absl::InternalError(""); }
  const std::string& root() const override { return name_; }

 private:
  const std::string name_ = "named";
  std::vector<SampleFiles> samples_;
  std::vector<std::string> names_;
  std::vector<cv::Vec3b> colours_;
};

std::vector<ImageFacts> Facts(int count) {
  std::vector<ImageFacts> facts;
  for (int i = 0; i < count; ++i) {
    facts.push_back({.digest = Sha256::Of(std::to_string(i)), .height = 120, .width = 160});
  }
  return facts;
}

v1::JobSpec Job(const std::string& views, int batch) {
  return ParseJob({.text = "data: {format: camvid, root: d, crop: [96, 128]}\n"
                           "teacher: {checkpoint: t}\nstudent: {model: deeplabv3_resnet18}\n"
                           "losses: {kd: {}}\ntargets: {views: '" +
                           views + "'}\ntrain: {steps: 1, seed: 3, global_batch: " +
                           std::to_string(batch) + "}\n"})
      .value();
}

TEST(JobSamplesTest, OfWholeViewsAreTheImages) {
  const auto samples = ListJobSamples(Job("whole: 60x80", 2), NamedImages(3), Facts(3), 9);
  ASSERT_TRUE(samples.ok()) << samples.status();
  ASSERT_EQ(samples->size(), 3);
  for (const SampleRef& sample : *samples) EXPECT_EQ(sample.view, WholeView(60, 80));
  const std::vector<Digest> labels(3, Sha256::Of("label"));
  const auto labelled = ListJobSamples(Job("whole", 2), NamedImages(3), Facts(3), 9, labels);
  ASSERT_TRUE(labelled.ok()) << labelled.status();
  ASSERT_EQ(labelled->size(), 3);
  EXPECT_EQ(labelled->front().view, WholeView(120, 160));
  EXPECT_EQ(labelled->front().label_digest, labels[0]);
}

TEST(JobSamplesTest, IsWhatTheStreamDrawsInItsOrder) {
  constexpr int kImages = 7, kBatch = 4;
  const NamedImages images(kImages);
  const std::vector<ImageFacts> facts = Facts(kImages);
  const v1::JobSpec spec = Job("replay: 3", kBatch);
  const ViewPolicy policy = PlanViews(spec).value();
  const SampleStream stream({.samples = kImages, .global_batch = kBatch, .replay = 3, .seed = 3});
  for (const int steps : {1, 3, 6, 50}) {  // within an epoch, beyond it, all views, many times
    std::vector<std::tuple<std::string, View>> expected;
    std::set<std::tuple<std::string, View>> seen;
    for (int step = 0; step < steps; ++step) {
      for (const Draw& draw : stream.Draws(step, 0, 1)) {
        const std::tuple<std::string, View> drawn(
            images.samples()[draw.sample].image.path,
            DrawView(policy, 0, facts[draw.sample].digest, 120, 160, draw.view));
        if (seen.insert(drawn).second) expected.push_back(drawn);
      }
    }
    const auto samples = ListJobSamples(spec, images, facts, steps).value();
    ASSERT_EQ(samples.size(), expected.size()) << steps;
    for (size_t i = 0; i < samples.size(); ++i) {
      EXPECT_EQ(std::tuple(samples[i].locator.path, samples[i].view), expected[i]);
    }
  }
  EXPECT_EQ(ListJobSamples(spec, images, facts, 50)->size(), kImages * 3u);
}

TEST(JobSamplesTest, ImagesThatAreTheSameAreOne) {
  std::vector<ImageFacts> facts = Facts(4);
  facts[3] = facts[0];
  EXPECT_EQ(ListJobSamples(Job("replay: 1", 4), NamedImages(4), facts, 1)->size(), 3u);
}

TEST(JobSamplesTest, OfWholeImagesThereIsOneViewEach) {
  const auto samples = ListJobSamples(Job("whole", 4), NamedImages(6), Facts(6), 50).value();
  ASSERT_EQ(samples.size(), 6u);
  for (const SampleRef& sample : samples) EXPECT_EQ(sample.view, WholeView(120, 160));
  EXPECT_EQ(ListJobSamples(Job("whole", 4), NamedImages(6), Facts(6), 1)->size(), 4u);
  EXPECT_TRUE(absl::IsFailedPrecondition(
      ListJobSamples(Job("auto", 4), NamedImages(6), Facts(6), 1).status()));
}

TEST(JobSamplesTest, LiveViewsAreNotListedAndBrokenImagesAreNamed) {
  EXPECT_TRUE(ListJobSamples(Job("live", 2), NamedImages(4), Facts(4), 9)->empty());
  std::vector<ImageFacts> facts = Facts(4);
  facts[2].height = 0;
  const auto samples = ListJobSamples(Job("replay: 2", 4), NamedImages(4), facts, 9);
  EXPECT_TRUE(absl::IsDataLoss(samples.status()));
  EXPECT_THAT(std::string(samples.status().message()), HasSubstr("2.png"));
}

}  // namespace
}  // namespace reflux
