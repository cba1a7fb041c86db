// Whether a teacher is good enough, and which layout's preprocessing would make it so.
#include "job_plan/teacher_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <opencv2/imgcodecs.hpp>

#include "common/base/file.h"
#include "distill/checkpoint/checkpoint_layout.h"
#include "distill/checkpoint/model_checkpoint.h"
#include "distill/models/build_model.h"
#include "job_plan/open_teacher.h"
#include "tests/unit/distill/checkpoint/legacy_writer.h"

namespace reflux {
namespace {

using testing::HasSubstr;

constexpr int64_t kClasses = 11;  // CamVid's

// Tells red (class 0) from blue (class 1) by the numbers that BGR, 0..255, minus the mean gives:
// any other order of the colours swaps the classes.
class BlueFirstNetwork : public SegmentationModel {
 public:
  BlueFirstNetwork() { register_module("weight", std::make_shared<Weight>()); }
  TapOutputs Forward(const torch::Tensor& images, const std::vector<std::string>&) override {
    torch::Tensor logits = torch::full({images.size(0), kClasses, images.size(2), images.size(3)},
                                       -1e6, images.options());
    logits.select(1, 0).copy_(images.select(1, 2));
    logits.select(1, 1).copy_(images.select(1, 0));
    return {{"logits", logits}};
  }
  std::vector<TapInfo> taps() const override { return {{"logits", kClasses, 1}}; }
  int64_t num_classes() const override { return kClasses; }
  std::string architecture() const override { return "blue_first"; }

 private:
  struct Weight : torch::nn::Module {
    Weight() { register_parameter("weight", torch::ones({1})); }
  };
};

class TeacherPlanTest : public testing::Test {
 protected:
  void SetUp() override {
    root_ = testing::TempDir() + "reflux_teacher_plan_" +
            testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(root_);
    for (const char* folder : {"/val", "/valannot"})
      std::filesystem::create_directories(root_ + folder);
    // Left half red, right half blue.
    cv::Mat image(24, 32, CV_8UC3, cv::Scalar(20, 30, 220)), label(24, 32, CV_8UC1, cv::Scalar(0));
    image.colRange(16, 32).setTo(cv::Scalar(220, 30, 20));
    label.colRange(16, 32).setTo(1);
    cv::imwrite(root_ + "/val/a.png", image);
    cv::imwrite(root_ + "/valannot/a.png", label);
    data_.set_format("camvid");
    data_.set_root(root_);
    data_.set_val_split("val");
    teacher_.set_checkpoint("colours.pth");
    teacher_.set_numerics("exact");
    teacher_.set_compute("fp32");
    teacher_.set_device("cpu");
    teacher_.set_threads(1);
    teacher_.set_batch(1);
    teacher_.set_expect_miou(77);
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  absl::StatusOr<double> CheckWith(const Preprocessing& preprocessing) {
    const Teacher teacher = MakeTeacher(std::make_shared<BlueFirstNetwork>(), preprocessing,
                                        *PlanNumerics(teacher_), torch::kCPU)
                                .value();
    return CheckTeacher(teacher, teacher_, data_, nullptr);
  }

  std::string root_;
  v1::DataSpec data_;
  v1::TeacherSpec teacher_;
};

TEST_F(TeacherPlanTest, TheRightPreprocessingPasses) {
  const auto miou = CheckWith(FindLayout("cirkd")->preprocessing);
  ASSERT_TRUE(miou.ok()) << miou.status();
  EXPECT_EQ(*miou, 100);
}

TEST_F(TeacherPlanTest, TheLayoutThatDoesBetterIsNamed) {
  EXPECT_EQ(CheckWith(Preprocessing()).status().message(),
            "teacher: 0.0 % mIoU on 1 val images, expected 77. Layout `cirkd` (BGR, mean "
            "subtracted) gives 100.0: set teacher.layout.");
}

TEST_F(TeacherPlanTest, WhereNoneDoesBetterThatIsSaid) {
  Preprocessing none;  // every image is grey
  none.deviation = {1e12, 1e12, 1e12};
  teacher_.set_expect_miou(100.5);
  EXPECT_THAT(std::string(CheckWith(FindLayout("cirkd")->preprocessing).status().message()),
              HasSubstr("No other layout's preprocessing does better than BGR, mean subtracted. Is "
                        "the checkpoint (colours.pth) trained for this data?"));
  EXPECT_THAT(std::string(CheckWith(none).status().message()),
              HasSubstr("gives 100.0, better but not enough"));
}

TEST_F(TeacherPlanTest, OtherClassesThanTheDataSetsAreSaidWithTheCheckpoint) {
  const Teacher teacher = MakeTeacher(*BuildModel({.num_classes = 19, .aspp_width = 8}),
                                      Preprocessing(), *PlanNumerics(teacher_), torch::kCPU)
                              .value();
  const absl::Status status = CheckTeacher(teacher, teacher_, data_, nullptr).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_EQ(status.message(), "teacher: colours.pth has 19 classes, the data set (camvid) 11");
}

TEST_F(TeacherPlanTest, OfSeveralTeachersTheOneThatFailsIsNamed) {
  v1::JobSpec job;
  *job.mutable_data() = data_;
  (*job.mutable_teachers())["city"] = teacher_;
  (*job.mutable_teachers())["city"].set_checkpoint(root_ + "/city.safetensors");
  const auto model = *BuildModel({.num_classes = 19, .aspp_width = 8});
  ASSERT_TRUE(SaveModelCheckpoint(root_ + "/city.safetensors", *model,
                                  {.options = {.num_classes = 19, .aspp_width = 8}})
                  .ok());
  const std::string rest = root_ + "/city.safetensors has 19 classes, the data set (camvid) 11";
  EXPECT_EQ(OpenTeacher(job, "city", {}).status().message(), "teacher: " + rest);
  (*job.mutable_teachers())["camvid"] = teacher_;
  EXPECT_EQ(OpenTeacher(job, "city", {}).status().message(), "teachers.city: " + rest);
}

TEST_F(TeacherPlanTest, ATapThatIsNotThereIsAnsweredWithThoseThatAre) {
  const Teacher teacher = MakeTeacher(std::make_shared<BlueFirstNetwork>(), Preprocessing(),
                                      *PlanNumerics(teacher_), torch::kCPU)
                              .value();
  const absl::Status status = RunTeacher(teacher, torch::zeros({1, 3, 8, 8}), {"c9"}).status();
  EXPECT_TRUE(absl::IsNotFound(status));
  EXPECT_EQ(status.message(), "the teacher blue_first has no tap 'c9'; it has: logits");
}

TEST_F(TeacherPlanTest, APthIsATeacherInTheLayoutThatIsNamed) {
  const auto model = *BuildModel({.num_classes = kClasses, .aspp_width = 8});
  InitializeWeights(*model, 1);
  NamedTensors state;
  for (const auto& item : model->named_parameters()) state["module." + item.key()] = item.value();
  for (const auto& item : model->named_buffers()) state["module." + item.key()] = item.value();
  teacher_.set_checkpoint(root_ + "/best.pth");
  ASSERT_TRUE(WriteFileAtomically(teacher_.checkpoint(), LegacyTorchFile(state)).ok());
  for (const auto& [layout, preprocessing] : {std::pair("auto", "cirkd"),
                                              {"cirkd", "cirkd"},
                                              {"torchvision", "torchvision"},
                                              {"mmseg", "mmseg"}}) {
    teacher_.set_layout(layout);
    const auto teacher = LoadTeacher(teacher_, v1::DataSpec());
    ASSERT_TRUE(teacher.ok()) << teacher.status();
    EXPECT_EQ(teacher->identity.preprocessing, FindLayout(preprocessing)->preprocessing) << layout;
    EXPECT_EQ(teacher->identity.digest, TeacherDigest(*model));
  }
  teacher_.set_layout("reflux");
  EXPECT_TRUE(absl::IsFailedPrecondition(LoadTeacher(teacher_, v1::DataSpec()).status()));
}

}  // namespace
}  // namespace reflux
