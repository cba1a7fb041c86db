// A network that goes wrong, in the real chain: LocalSource, behind a cache and in a teacher
// server.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <opencv2/imgcodecs.hpp>

#include "cache/caching_source.h"
#include "cache/memory_target_store.h"
#include "distill/teacher/local_source.h"
#include "teacher_server/teacher_server.h"
#include "tests/contract/cache_fixtures.h"

namespace reflux {
namespace {

using testing::HasSubstr;

// Logits of one position: what `answer` makes of the mean of each colour.
class ScriptedNetwork : public SegmentationModel {
 public:
  using Answer = std::function<torch::Tensor(const torch::Tensor& colours)>;
  TapOutputs Forward(const torch::Tensor& images, const std::vector<std::string>&) override {
    return {{"logits", answer(images.mean({2, 3}, /*keepdim=*/true))}};
  }
  std::vector<TapInfo> taps() const override { return {{"logits", 3, 0}}; }
  int64_t num_classes() const override { return 3; }
  std::string architecture() const override { return "scripted"; }

  static torch::Tensor Colours(const torch::Tensor& colours) { return colours; }
  static torch::Tensor AllNan(const torch::Tensor& colours) {
    return torch::full_like(colours, std::nan(""));
  }
  Answer answer = Colours;
};

class FaultyNetworkTest : public testing::Test {
 protected:
  // A request for one image of each grey, of the teacher whose network is `network_`.
  TargetRequest Request(const std::vector<int>& greys) {
    TargetRequest request = FakeRequest(static_cast<int>(greys.size()));
    request.teacher = teacher_.identity;
    for (size_t i = 0; i < greys.size(); ++i) {
      std::vector<uint8_t> png;
      cv::imencode(".png", cv::Mat(8, 8, CV_8UC3, cv::Scalar::all(greys[i])), png);
      images_[request.samples[i].locator.path] = {png.begin(), png.end()};
      request.samples[i].digest = Sha256::Of(images_[request.samples[i].locator.path]);
    }
    return request;
  }
  std::unique_ptr<TargetSource> Local() {
    return MakeLocalSource(
        teacher_,
        [this](const Locator& locator) -> absl::StatusOr<std::string> { return read_(locator); },
        {});
  }

  const std::shared_ptr<ScriptedNetwork> network_ = std::make_shared<ScriptedNetwork>();
  const Teacher teacher_ = MakeTeacher(network_, {}, {}, torch::kCPU).value();
  std::map<std::string, std::string> images_;
  std::function<std::string(const Locator&)> read_ = [this](const Locator& locator) {
    return images_.at(locator.path);
  };
};

TEST_F(FaultyNetworkTest, ATargetWithNanIsAnErrorAndNotStored) {
  const auto local = Local();
  MemoryTargetStore store;
  const auto source = MakeCachingSource(store, *local);
  const TargetRequest request = Request({0, 255});
  // Black is below the mean colour: its root is NaN.
  network_->answer = [](const torch::Tensor& colours) { return colours.sqrt(); };
  CollectingSink sick, well;
  ASSERT_TRUE(source->Fetch({}, request, sick).ok());
  EXPECT_TRUE(absl::IsOutOfRange(sick.at(0).status())) << sick.at(0).status();
  EXPECT_THAT(std::string(sick.at(0).status().message()), HasSubstr("NaN"));
  EXPECT_TRUE(sick.at(1).ok()) << "another image of the same forward";
  EXPECT_FALSE(store.Contains(KeyOf(request, 0)));
  EXPECT_TRUE(store.Contains(KeyOf(request, 1)));
  network_->answer = ScriptedNetwork::Colours;
  ASSERT_TRUE(source->Fetch({}, request, well).ok());
  ASSERT_TRUE(well.AllOk());
  EXPECT_EQ(store.Get(KeyOf(request, 0))->bytes, well.at(0)->bytes);
  EXPECT_EQ(well.at(1)->bytes, sick.at(1)->bytes) << "the one that was stored";
}

TEST_F(FaultyNetworkTest, AnExceptionIsTheStatusOfTheSampleThatItWasThrownFor) {
  const auto local = Local();
  const TargetRequest request = Request({0, 255});
  read_ = [&](const Locator& locator) {
    if (locator.path == request.samples[0].locator.path) throw std::bad_alloc();
    return images_.at(locator.path);
  };
  CollectingSink sink;
  ASSERT_TRUE(local->Fetch({}, request, sink).ok());
  EXPECT_TRUE(absl::IsInternal(sink.at(0).status())) << sink.at(0).status();
  EXPECT_THAT(std::string(sink.at(0).status().message()), HasSubstr("teacher sample: "));
  EXPECT_TRUE(sink.at(1).ok()) << sink.at(1).status();
}

TEST_F(FaultyNetworkTest, AnExceptionOfTheNetworkIsTheStatusOfItsBatchAndTheNextOneRuns) {
  const auto local = Local();
  const TargetRequest request = Request({0, 255});
  network_->answer = [](const torch::Tensor&) -> torch::Tensor {
    throw std::runtime_error("no memory on the device");
  };
  CollectingSink sick, well;
  ASSERT_TRUE(local->Fetch({}, request, sick).ok());
  for (const size_t sample : {0, 1}) {
    EXPECT_TRUE(absl::IsInternal(sick.at(sample).status()));
    EXPECT_EQ(sick.at(sample).status().message(), "teacher forward: no memory on the device");
  }
  network_->answer = ScriptedNetwork::Colours;
  ASSERT_TRUE(local->Fetch({}, request, well).ok());
  EXPECT_TRUE(well.AllOk());
}

TEST_F(FaultyNetworkTest, ATeacherOfNanDoesNotBeginToServe) {
  const auto start = [this] {
    return TeacherServer::Start(
        [this]() -> absl::StatusOr<ServedTeacher> {
          return ServedTeacher{.source = Local(), .identity = teacher_.identity, .bit_exact = true};
        },
        {}, nullptr);
  };
  network_->answer = ScriptedNetwork::AllNan;
  const auto refused = start();
  EXPECT_TRUE(absl::IsOutOfRange(refused.status())) << refused.status();
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("NaN"));
  network_->answer = ScriptedNetwork::Colours;
  EXPECT_TRUE(start().ok());
}

}  // namespace
}  // namespace reflux
