// student.backbone as a job: the student starts from the file's backbone, goes on after a stop,
// also when the file has moved, and is refused with another file's weights.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "common/spec/job_file.h"
#include "distill/models/build_model.h"
#include "distill/tensors/safetensors.h"
#include "student_worker/collectives/communicator.h"
#include "student_worker/trainer.h"
#include "tests/e2e/proof_scene.h"

namespace reflux {
namespace {

using testing::HasSubstr;

struct StopAfterOneStep : TrainingObserver {
  void OnStep(const StepReport&) override { stop->Cancel(); }
  const std::shared_ptr<Cancellation> stop = std::make_shared<Cancellation>();
};

class PretrainedBackboneTest : public testing::Test {
 protected:
  void SetUp() override {
    root_ = testing::TempDir() + "reflux_pretrained_backbone";
    std::filesystem::remove_all(root_);
    WriteProofImages(root_ + "/images", 4);
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  // An ImageNet classifier as CIRKD has it.
  std::string WriteClassifier(const std::string& name, uint64_t seed) {
    const auto model = BuildModel({.num_classes = 2, .aspp_width = 8}).value();
    InitializeWeights(*model, seed);
    NamedTensors classifier = {{"fc.bias", torch::zeros({1000})}};
    const auto add = [&](const std::string& key, const torch::Tensor& value) {
      absl::string_view rest = key;
      if (absl::ConsumePrefix(&rest, "pretrained.")) classifier[std::string(rest)] = value;
    };
    for (const auto& item : model->named_parameters()) add(item.key(), item.value());
    for (const auto& item : model->named_buffers()) add(item.key(), item.value());
    conv1_ = classifier.at("conv1.weight").detach().clone();
    std::string path = root_ + "/" + name;
    EXPECT_TRUE(WriteSafetensors(path, classifier, {}).ok());
    return path;
  }

  v1::JobSpec Job(const std::string& backbone) const {
    return ParseJob({.text = absl::StrFormat(R"(
name: pretrained
data: {format: camvid, root: %s/images, crop: [48, 64], eval_size: [48, 64]}
student: {model: deeplabv3_resnet18, aspp_width: 8, backbone: %s}
targets: {views: live}
train: {global_batch: 2, steps: 4, seed: 5, threads: 1, learning_rate: 1e-9}
)",
                                             root_, backbone)})
        .value();
  }

  absl::StatusOr<TrainingEnd> Train(const v1::JobSpec& spec,
                                    const std::vector<TrainingObserver*>& observers,
                                    const std::shared_ptr<Cancellation>& stop) {
    SingleProcessCommunicator alone;
    auto trainer = Trainer::Create({.spec = spec, .directory = root_ + "/run", .stop = stop}, alone,
                                   observers);
    if (!trainer.ok()) return trainer.status();
    auto end = (*trainer)->Run();
    trained_ = (*trainer)->student().named_parameters()["pretrained.conv1.weight"].detach().clone();
    return end;
  }

  std::string root_;
  torch::Tensor conv1_, trained_;
};

TEST_F(PretrainedBackboneTest, StartsFromItAndRefusesAnotherOnResume) {
  const std::string first = WriteClassifier("first.safetensors", 1);
  const torch::Tensor conv1 = conv1_;
  StopAfterOneStep observer;
  const auto stopped = Train(Job(first), {&observer}, observer.stop);
  ASSERT_TRUE(stopped.ok()) << stopped.status();
  EXPECT_EQ(*stopped, TrainingEnd::kStopped);
  EXPECT_TRUE(torch::allclose(trained_, conv1, 0, 1e-4));

  const absl::Status other =
      Train(Job(WriteClassifier("other.safetensors", 2)), {}, nullptr).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(other)) << other;
  EXPECT_THAT(std::string(other.message()), HasSubstr("other settings, initial weights"));

  std::filesystem::rename(first, root_ + "/moved.safetensors");
  const auto done = Train(Job(root_ + "/moved.safetensors"), {}, nullptr);
  ASSERT_TRUE(done.ok()) << done.status();
  EXPECT_EQ(*done, TrainingEnd::kDone);
}

}  // namespace
}  // namespace reflux
