// TorchScript modules in jobs: one distils into another, the student goes on after a stop to the
// same bits, leaves a module behind, and is refused on two ranks for its batch norm.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/file.h"
#include "common/spec/job_file.h"
#include "distill/checkpoint/scripted_model.h"
#include "distill/data/dataset.h"
#include "distill/teacher/local_source.h"
#include "job_plan/teacher_plan.h"
#include "student_worker/trainer.h"
#include "tests/e2e/proof_scene.h"
#include "tests/unit/student_worker/collectives/ranks.h"

namespace reflux {
namespace {

using testing::HasSubstr;

constexpr int64_t kClasses = 11, kWidth = 6;
constexpr int kSteps = 4;

torch::Tensor Weight(torch::IntArrayRef shape, double scale) {
  int64_t count = 1;
  for (const int64_t size : shape) count *= size;
  return (torch::sin(torch::arange(count, torch::kFloat32) * scale) * 0.3)
      .reshape(shape)
      .requires_grad_();
}

void WriteModule(const std::string& path, double scale) {
  torch::jit::Module norm("__torch__.Norm");
  norm.register_parameter("weight", torch::ones({kWidth}).requires_grad_(), false);
  norm.register_parameter("bias", torch::zeros({kWidth}).requires_grad_(), false);
  norm.register_buffer("running_mean", torch::zeros({kWidth}));
  norm.register_buffer("running_var", torch::ones({kWidth}));
  norm.register_attribute("training", c10::BoolType::get(), true);
  norm.define(R"(
def forward(self, x):
    return torch.batch_norm(x, self.weight, self.bias, self.running_mean, self.running_var,
                            self.training, 0.1, 1e-5, False)
)");
  torch::jit::Module network("__torch__.Network");
  network.register_parameter("first", Weight({kWidth, 3, 3, 3}, scale), false);
  network.register_parameter("last", Weight({kClasses, kWidth, 1, 1}, 2 * scale), false);
  network.register_attribute("training", c10::BoolType::get(), true);
  network.register_module("norm", norm);
  network.define(R"(
def forward(self, x):
    c1 = torch.relu(self.norm.forward(torch.conv2d(x, self.first, None, [2, 2], [1, 1])))
    return {'logits': torch.conv2d(c1, self.last), 'c1': c1}
)");
  network.save(path);
}

struct Observer : TrainingObserver {
  explicit Observer(int64_t stop_after) : after(stop_after) {}
  void OnStep(const StepReport& report) override {
    terms.push_back(report.losses);
    if (report.step == after) stop->Cancel();
  }
  const int64_t after;
  const std::shared_ptr<Cancellation> stop = std::make_shared<Cancellation>();
  std::vector<std::map<std::string, double>> terms;
};

class ScriptedNetworkTest : public testing::Test {
 protected:
  void SetUp() override {
    root_ = testing::TempDir() + "reflux_scripted_network";
    std::filesystem::remove_all(root_);
    WriteProofImages(root_ + "/images", 4);
    WriteModule(root_ + "/teacher.pt", 0.7);
    WriteModule(root_ + "/student.pt", 0.9);
    spec_ = ParseJob({.text = absl::StrFormat(R"(
name: scripted
data: {format: camvid, root: %1$s/images, crop: [48, 64], eval_size: [48, 64]}
teacher: {checkpoint: %1$s/teacher.pt, layout: torchscript, expect_miou: 0}
student: {model: torchscript, init: %1$s/student.pt}
losses: {kd: {}, fitnet: {tap: c1}}
targets: {views: live, codec: fp32}
train: {global_batch: 2, steps: %2$d, seed: 5, threads: 1}
)",
                                              root_, kSteps)})
                .value();
    source_ = MakeLocalSource(
        LoadTeacher(spec_.teachers().at("default"), spec_.data()).value(),
        [this](const Locator& locator) { return ReadImageFile(root_ + "/images", locator); }, {});
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  absl::StatusOr<TrainingEnd> Train(const std::string& folder, Communicator& communicator,
                                    Observer& observer) {
    auto trainer = Trainer::Create({.spec = spec_,
                                    .directory = root_ + "/" + folder,
                                    .sources = {{"default", {.source = source_.get()}}},
                                    .stop = observer.stop},
                                   communicator, {&observer});
    if (!trainer.ok()) return trainer.status();
    return (*trainer)->Run();
  }

  std::string root_;
  v1::JobSpec spec_;
  std::unique_ptr<TargetSource> source_;
};

TEST_F(ScriptedNetworkTest, OneDistilsIntoAnotherAndGoesOnToTheSameBits) {
  SingleProcessCommunicator alone;
  Observer whole(0), first(2), second(0);
  ASSERT_EQ(Train("whole", alone, whole).value(), TrainingEnd::kDone);
  ASSERT_EQ(Train("halves", alone, first).value(), TrainingEnd::kStopped);
  ASSERT_EQ(Train("halves", alone, second).value(), TrainingEnd::kDone);
  first.terms.insert(first.terms.end(), second.terms.begin(), second.terms.end());
  EXPECT_EQ(first.terms, whole.terms);
  EXPECT_GT(whole.terms[0].at("fitnet"), 0);

  const auto left = LoadScriptedModel(root_ + "/whole/student.pt");
  ASSERT_TRUE(left.ok()) << left.status();
  const auto start = LoadScriptedModel(root_ + "/student.pt");
  EXPECT_NE(TeacherDigest(*left->model), TeacherDigest(*start->model));
  EXPECT_TRUE(torch::equal(
      left->model->named_parameters()["first"],
      LoadScriptedModel(root_ + "/halves/student.pt")->model->named_parameters()["first"]));
}

TEST_F(ScriptedNetworkTest, NormsThatCannotBeSynchronisedAreNamed) {
  RunRanks(2, [&](Communicator& communicator) {
    Observer observer(0);
    const auto end = Train(absl::StrCat("rank", communicator.rank()), communicator, observer);
    EXPECT_TRUE(absl::IsFailedPrecondition(end.status())) << end.status();
    EXPECT_THAT(std::string(end.status().message()),
                HasSubstr("cannot be synchronised over 2 students (norm): set run.students: 1"));
  });
}

}  // namespace
}  // namespace reflux
