// A job with two teachers and their ensemble, one with its classes in another order: the same bits
// whether they run in this process or each behind a server, and each of them counts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "absl/strings/str_format.h"
#include "common/spec/job_file.h"
#include "distill/checkpoint/model_checkpoint.h"
#include "distill/data/class_tables.h"
#include "distill/data/dataset.h"
#include "distill/teacher/ensemble_source.h"
#include "job_plan/open_teacher.h"
#include "job_plan/teacher_plan.h"
#include "student_worker/collectives/communicator.h"
#include "student_worker/target_path.h"
#include "student_worker/trainer.h"
#include "teacher_server/teacher_server.h"
#include "tests/e2e/proof_scene.h"

namespace reflux {
namespace {

constexpr char kTurned[] = "[10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0]";

struct Outcome {
  std::map<std::string, std::vector<double>> losses;
  std::map<std::string, torch::Tensor> weights;
};

class SeveralTeachersTest : public testing::Test {
 protected:
  void SetUp() override {
    root_ = testing::TempDir() + "reflux_several_teachers_" +
            testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(root_);
    std::filesystem::create_directories(root_);
    WriteProofImages(root_ + "/images", 4);
    WriteProofTeacher(root_ + "/deep.safetensors", "deeplabv3_resnet18");
    WriteProofTeacher(root_ + "/light.safetensors", "deeplabv3_mobilenetv2");
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  v1::JobSpec Job(const std::string& classes) const {
    return ParseJob({.text = absl::StrFormat(R"(
name: several
data: {format: camvid, root: %1$s/images, crop: [64, 96], scale: [0.8, 1.5], eval_size: [64, 96]}
teachers:
  deep: {checkpoint: %1$s/deep.safetensors, expect_miou: 0}
  light: {checkpoint: %1$s/light.safetensors, expect_miou: 0, classes: %2$s}
  both: {ensemble: [deep, light]}
student: {model: deeplabv3_resnet18}
losses: {kd: {teacher: both}, icsd: {teacher: light, weight: 10}, fitnet: {tap: aspp, teacher: deep, weight: 0.001}}
targets: {views: "replay: 2", codec: fp32}
train: {global_batch: 4, steps: 3, precision: fp32, seed: 5, threads: 1}
)",
                                             root_, classes)})
        .value();
  }
  OpenedTeacher Open(const v1::JobSpec& spec, const std::string& name) const {
    const std::string images = root_ + "/images";
    return OpenTeacher(
               spec, name,
               {.read_image =
                    [images](const Locator& locator) { return ReadImageFile(images, locator); }})
        .value();
  }
  Outcome Train(const v1::JobSpec& spec, const std::string& name,
                const std::map<std::string, TeacherAccess>& sources) {
    struct Recording : TrainingObserver {
      void OnStep(const StepReport& report) override {
        for (const auto& [term, value] : report.losses) losses[term].push_back(value);
      }
      std::map<std::string, std::vector<double>> losses;
    } observer;
    SingleProcessCommunicator communicator;
    auto trainer =
        Trainer::Create({.spec = spec, .directory = root_ + "/" + name, .sources = sources},
                        communicator, {&observer});
    EXPECT_TRUE(trainer.ok()) << trainer.status();
    if (!trainer.ok()) return {};
    const auto end = (*trainer)->Run();
    EXPECT_TRUE(end.ok()) << end.status();
    Outcome run{.losses = observer.losses, .weights = {}};
    for (const auto& item : (*trainer)->student().named_parameters())
      run.weights[item.key()] = item.value();
    return run;
  }
  static void ExpectSameBits(const Outcome& a, const Outcome& b) {
    EXPECT_EQ(a.losses, b.losses);
    ASSERT_EQ(a.weights.size(), b.weights.size());
    for (const auto& [name, value] : a.weights) {
      EXPECT_TRUE(torch::equal(value, b.weights.at(name))) << name;
    }
  }

  std::string root_;
};

TEST_F(SeveralTeachersTest, ServedAndInProcessGiveTheSameBits) {
  const v1::JobSpec spec = Job(kTurned);
  const auto embedded =
      OpenTargetPath(spec, {.cache_directory = root_ + "/cache"}, nullptr, nullptr);
  ASSERT_TRUE(embedded.ok()) << embedded.status();
  const Outcome alone = Train(spec, "alone", (*embedded)->sources());
  EXPECT_EQ(alone.losses.at("kd").size(), 3u);

  std::vector<std::unique_ptr<TeacherServer>> servers;
  TargetEndpoints endpoints;
  for (const char* name : {"deep", "light", "both"}) {
    const auto load = [&]() -> absl::StatusOr<ServedTeacher> {
      OpenedTeacher opened = Open(spec, name);
      return ServedTeacher{.source = std::move(opened.source), .identity = opened.identity};
    };
    servers.push_back(TeacherServer::Start(load, {}, nullptr).value());
    endpoints[name] = servers.back()->address();
  }
  const auto remote = OpenTargetPath(spec, {.endpoints = endpoints}, nullptr, nullptr);
  ASSERT_TRUE(remote.ok()) << remote.status();
  ExpectSameBits(Train(spec, "served", (*remote)->sources()), alone);

  // Control: another order of classes changes the terms that read that teacher, and no others.
  // (ICSD is no control here: the maps of an untrained ensemble do not vary over positions in
  // fp16.)
  const v1::JobSpec straight = Job("[]");
  const auto other =
      OpenTargetPath(straight, {.cache_directory = root_ + "/cache2"}, nullptr, nullptr);
  ASSERT_TRUE(other.ok()) << other.status();
  const Outcome differs = Train(straight, "straight", (*other)->sources());
  EXPECT_NE(differs.losses.at("kd")[0], alone.losses.at("kd")[0]);
  EXPECT_EQ(differs.losses.at("fitnet")[0], alone.losses.at("fitnet")[0]);
}

TEST_F(SeveralTeachersTest, AnEndpointIsNeededForEachTeacher) {
  const absl::Status status =
      OpenTargetPath(Job("[]"), {.endpoints = {{"deep", "127.0.0.1:1"}}}, nullptr, nullptr)
          .status();
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr("nothing for the teacher both"));
}

// Logits of one image at a time, as the teacher's source delivers them.
struct Logits : TargetSink {
  void Deliver(size_t, size_t, absl::StatusOr<EncodedTarget> target) override {
    ASSERT_TRUE(target.ok()) << target.status();
    map = torch::from_blob(const_cast<char*>(target->bytes.data()),
                           {target->shape[0], target->shape[1], target->shape[2]})
              .clone();
  }
  torch::Tensor map;
};

class TeacherLogitsTest : public SeveralTeachersTest {
 protected:
  torch::Tensor LogitsOf(const OpenedTeacher& teacher) {
    const std::string path = "train/000.jpg";
    const std::string image = ReadImageFile(root_ + "/images", {"camvid", path}).value();
    const View view{
        .resized_height = 120, .resized_width = 160, .crop_height = 64, .crop_width = 96};
    const TargetRequest request{
        .teacher = teacher.identity,
        .samples = {{.digest = Sha256::Of(image), .view = view, .locator = {"camvid", path}}},
        .specs = {{.tap = "logits", .codec = Codec::kFp32}}};
    Logits logits;
    const absl::Status status = teacher.source->Fetch({}, request, logits);
    EXPECT_TRUE(status.ok()) << status;
    return logits.map;
  }
};

TEST_F(TeacherLogitsTest, ClassesComeInTheDataSetsOrderAndTheOrderIsPartOfTheIdentity) {
  const OpenedTeacher straight = Open(Job("[]"), "light"), turned = Open(Job(kTurned), "light");
  EXPECT_NE(straight.identity.digest, turned.identity.digest);
  EXPECT_TRUE(torch::equal(LogitsOf(turned), LogitsOf(straight).flip(0)));
  std::string names;
  for (const std::string& name : CamVidClasses().names)
    names += (names.empty() ? "[" : ", ") + name;
  EXPECT_EQ(Open(Job(names + "]"), "light").identity, straight.identity)
      << "the order that the classes have anyway changes nothing";
}

TEST_F(TeacherLogitsTest, AnEnsembleIsTheMeanOfItsMembers) {
  const v1::JobSpec spec = Job(kTurned);
  const OpenedTeacher deep = Open(spec, "deep"), light = Open(spec, "light"),
                      both = Open(spec, "both");
  EXPECT_TRUE(torch::equal(LogitsOf(both), (LogitsOf(deep) + LogitsOf(light)) / 2));
  EXPECT_EQ(both.identity.digest, EnsembleDigest({deep.identity, light.identity}));
  EXPECT_NE(both.identity.digest, EnsembleDigest({light.identity, deep.identity}));
  EXPECT_LE(both.miou, std::min(deep.miou, light.miou));
  TargetRequest request;
  request.teacher = both.identity;
  request.samples.push_back({.view = {8, 8, 0, 0, 8, 8}});
  request.specs.push_back({.tap = "aspp"});
  Logits unused;
  const absl::Status refused = both.source->Fetch({}, request, unused);
  EXPECT_TRUE(absl::IsNotFound(refused)) << refused;
}

TEST(PlanClassOrderTest, NamesAndIndicesAreUnderstood) {
  const std::vector<std::string> classes = {"sky", "road", "car"};
  v1::TeacherSpec teacher;
  for (const char* name : {"car", "0", "road"}) teacher.add_classes(name);
  EXPECT_THAT(PlanClassOrder(teacher, classes).value(), testing::ElementsAre(1, 2, 0));
  teacher.set_classes(1, "1");
  EXPECT_THAT(std::string(PlanClassOrder(teacher, classes).status().message()),
              testing::HasSubstr("road stands there twice"));
  teacher.set_classes(1, "tree");
  EXPECT_THAT(std::string(PlanClassOrder(teacher, classes).status().message()),
              testing::HasSubstr("`tree` is no class of the data set; it has: sky, road, car"));
  teacher.mutable_classes()->DeleteSubrange(1, 2);
  EXPECT_THAT(std::string(PlanClassOrder(teacher, classes).status().message()),
              testing::HasSubstr("sky is missing"));
}

}  // namespace
}  // namespace reflux
