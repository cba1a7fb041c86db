// A checkpoint belongs to the teacher that its run learned from, whatever the teacher's file is
// called.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "common/spec/job_file.h"
#include "distill/data/dataset.h"
#include "job_plan/teacher_plan.h"
#include "student_worker/collectives/communicator.h"
#include "student_worker/trainer.h"
#include "tests/e2e/proof_scene.h"

namespace reflux {
namespace {

using ::testing::HasSubstr;

class OtherTeacherTest : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::remove_all(root_);
    std::filesystem::create_directories(root_);
    WriteProofImages(root_ + "/images", 4);
    WriteProofTeacher(root_ + "/teacher.safetensors", "deeplabv3_resnet18");
    spec_ = ParseJob({.text = ProofYaml({.root = root_, .losses = "{kd: {}}"})},
                     {"train.steps=1", "train.epochs=0", "data.crop=[32, 32]"})
                .value();
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  // One run in the same folder, with the teacher of `teacher`.
  absl::Status Train(const v1::TeacherSpec& teacher) {
    const auto source = MakeLocalSource(
        LoadTeacher(teacher, spec_.data()).value(),
        [root = root_ + "/images"](const Locator& locator) { return ReadImageFile(root, locator); },
        {});
    SingleProcessCommunicator communicator;
    auto trainer = Trainer::Create({.spec = spec_,
                                    .directory = root_ + "/run",
                                    .sources = {{"default", {.source = source.get()}}}},
                                   communicator, {});
    return trainer.ok() ? (*trainer)->Run().status() : trainer.status();
  }

  const std::string root_ = testing::TempDir() + "reflux_other_teacher";
  v1::JobSpec spec_;
};

TEST_F(OtherTeacherTest, IsRefusedOnResume) {
  v1::TeacherSpec teacher = spec_.teachers().at("default");
  ASSERT_TRUE(Train(teacher).ok());
  std::filesystem::rename(root_ + "/teacher.safetensors", root_ + "/moved.safetensors");
  teacher.set_checkpoint(root_ + "/moved.safetensors");
  EXPECT_TRUE(Train(teacher).ok());

  for (int label = 10; label >= 0; --label) teacher.add_classes(std::to_string(label));
  const absl::Status other = Train(teacher);
  EXPECT_TRUE(absl::IsFailedPrecondition(other)) << other;
  EXPECT_THAT(std::string(other.message()), HasSubstr("teacher weights"));
}

}  // namespace
}  // namespace reflux
