#include "common/spec/job_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/spec/field_options.h"
#include "common/spec/job_teachers.h"
#include "tests/unit/common/spec/spec_fixture.h"

namespace reflux {
namespace {

using ::testing::HasSubstr;

TEST(JobCheckTest, EnumsListTheAllowedValues) {
  EXPECT_EQ(Refusal(kSmallJob, {"losses.icsd.form=fulll"}),
            "--set losses.icsd.form=fulll: losses.icsd.form: `fulll` is not allowed; one of full, "
            "code, mirror, per_image, full_raw, gram");
}

TEST(JobCheckTest, RangesAreTold) {
  EXPECT_THAT(Refusal(kSmallJob, {"train.momentum=1"}),
              HasSubstr("train.momentum: 1 is out of range [0, 1)"));
  EXPECT_THAT(Refusal(kSmallJob, {"losses.kd.temperature=0"}),
              HasSubstr("losses.kd.temperature: 0 is out of range (0, inf)"));
  EXPECT_THAT(Refusal(kSmallJob, {"data.crop=[360, 0]"}),
              HasSubstr("data.crop: 0 is out of range [8, 16384]"));
  EXPECT_THAT(Refusal(kSmallJob, {"losses.skd.pool=0"}),
              HasSubstr("losses.skd.pool: 0 is out of range [1, 1024]"));
  EXPECT_THAT(Refusal(kSmallJob, {"losses.cwd.norm=pixel"}),
              HasSubstr("losses.cwd.norm: `pixel` is not allowed; one of channel, spatial"));
  EXPECT_THAT(Refusal(kSmallJob, {"losses.afdcd.mask_ratio=1"}),
              HasSubstr("losses.afdcd.mask_ratio: 1 is out of range [0, 1)"));
  EXPECT_THAT(Refusal(kSmallJob, {"teacher.batch=0"}),
              HasSubstr("teacher.batch: 0 is out of range [1, 1024]"));
  // Longer than a small string: the path is rewritten while it is walked.
  EXPECT_THAT(Refusal(kSmallJob, {"teacher.expect_miou=101"}),
              HasSubstr("teacher.expect_miou: 101 is out of range [0, 100]"));
}

TEST(JobCheckTest, TheTasksAreKeptApart) {
  constexpr char kImages[] =
      "name: images\ndata: {format: cifar100, root: d}\nstudent: {model: wrn16x2}\n"
      "losses: {frskd_classifier: {}}\ntrain: {steps: 10, mix: cutmix}\n";
  EXPECT_TRUE(Parse(kImages).ok()) << Refusal(kImages);
  EXPECT_TRUE(Parse(kImages, {"losses={frskd_classifier: ~, sla: {}}", "train.mix=none"}).ok());
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"student.model=psp_resnet18",
       "student.model: `psp_resnet18` labels pixels, but data.format cifar100 labels whole images"},
      {"losses.frskd={}", "losses.frskd: is for segmentation: a classifier's is frskd_classifier"},
      {"losses.sla={}", "train.mix: cannot be together with sla"},
      {"losses.frskd_classifier.sla=true", "train.mix: cannot be together with sla"},
      {"losses={sla: {}, frskd_classifier: {sla: true}}", "losses.sla: frskd_classifier has sla"},
      {"data.eval_flip=true", "data: eval_window, eval_scales and eval_flip are for segmentation"},
      {"targets.views=whole", "targets.views: whole and auto are for segmentation"},
      {"train.lr_milestones=[1]", "train.lr_milestones: 1 is out of range (0, 1)"},
  };
  for (const auto& [change, told] : cases) {
    EXPECT_THAT(Refusal(kImages, {change}), HasSubstr(told)) << change;
  }
  EXPECT_THAT(Refusal(kSmallJob, {"student.model=wrn16x2"}),
              HasSubstr("student.model: `wrn16x2` labels whole images, but data.format camvid"));
  EXPECT_THAT(Refusal(kSmallJob, {"losses.frskd_classifier={}"}),
              HasSubstr("losses.frskd_classifier: is for classification"));
  EXPECT_THAT(Refusal(kSmallJob, {"train.mix=mixup"}),
              HasSubstr("train.mix: is for classification"));
}

TEST(JobCheckTest, EachContradictionIsTold) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"train.steps=0", "job.yaml:6: train: give steps or epochs: how long to train"},
      {"train.epochs=2", "train: give steps or epochs, not both"},
      {"teachers=~", "job.yaml:5: losses.kd: needs a teacher"},
      {"losses.kd.teacher=big", "losses.kd.teacher: no teacher `big`; there are: default"},
      {"teacher.checkpoint=~", "teacher.checkpoint: missing: the file of the teacher"},
      {"run.students=9", "run.students: 9 students for a global batch of 8"},
      {"train.global_batch=1025", "train.global_batch: 1025 images for 1 students"},
      {"losses={ce: ~, kd: ~}", "losses: no term is left"},
      {"losses.afdcd.patch=[4]", "losses.afdcd.patch: expected [height, width], got 1 numbers"},
      {"losses.afdcd.crop=[44, 44, 1]", "losses.afdcd.crop: expected [height, width], got 3"},
      {"data.crop=[360]", "data.crop: expected two values, [height, width]"},
      {"data.eval_size=[360]", "data.eval_size: expected two values"},
      {"data.scale=[2, 1]", "data.scale: expected two values, [smallest, largest]"},
      {"data.scaled_decode=true", "data.scaled_decode: views of scale 2 need whole images"},
      {"data.root=~", "data.root: missing"},
      {"data.format=~", "data.format: missing; one of camvid"},
      {"data.format=camvit", "data.format: `camvit` is not allowed; one of camvid, cityscapes"},
      {"data.labels=x", "data: images, labels, classes"},
      {"data={format: folders, root: ~, classes: [a]}",
       "data: format folders needs images and labels"},
      {"data={format: folders, root: d}", "data.classes: expected 1 to 255 class names"},
      {"data={format: folders, root: d, images: i, classes: [a]}", "data.root: give root, or"},
      {"data={format: folders, root: d, classes: [a], label_map: {7: 1}}",
       "data.label_map.7: 1 is no index of classes"},
      {"data.eval_window=[360]", "data.eval_window: expected two values"},
      {"data.eval_stride=[8, 8]", "data.eval_stride: needs eval_window"},
      {"data.eval_scales=[0]", "data.eval_scales: 0 is out of range [0.1, 8]"},
      {"student.output_stride=12", "student.output_stride: 12 is not 8 or 16"},
      {"targets.views='replay: 0'", "targets.views: `replay: 0` is not allowed"},
      {"targets.codec=topk", "targets.codec: unknown codec 'topk', known: fp32"},
      {"targets.codec='topk:64'", "topk:K with K from 1 to 63"},
      {"targets.codec=fp16+gzip", "each also with +zstd"},
      {"name=../up", "name: missing or not a name"},
      {"targets.cache=..", "targets.cache: not a name"},
      {"run.students=65", "run.students: 65 is out of range [1, 64]"},
  };
  for (const auto& [assignment, expected] : cases) {
    EXPECT_THAT(Refusal(kSmallJob, {assignment}), HasSubstr(expected)) << assignment;
  }
}

TEST(JobCheckTest, CodecsWithParametersAreKnown) {
  for (const std::string codec : {"int8", "fp16+zstd", "'topk:4'", "topk:4+zstd"}) {
    EXPECT_EQ(Refusal(kSmallJob, {"targets.codec=" + codec}), "") << codec;
  }
}

// A loss of one's own is a loss: it needs a teacher, a tap, a schedule. Its file is not known here.
TEST(JobCheckTest, LossesOfOnesOwn) {
  const std::vector<std::string> own = {"losses.own.mine.options.power=2"};
  const auto spec = Parse(kSmallJob, own);
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->losses().own().at("mine").tap(), "aspp");
  EXPECT_EQ(spec->losses().own().at("mine").options().at("power"), 2);
  EXPECT_THAT(Refusal(kSmallJob, {own[0], "losses.own.mine.schedule=never"}),
              HasSubstr("losses.own.mine.schedule: `never` is not allowed"));
  EXPECT_THAT(Refusal(kSmallJob, {own[0], "losses.own.mine.teacher=other"}),
              HasSubstr("losses.own.mine.teacher: no teacher `other`"));
}

TEST(JobCheckTest, StudentsThatStartFromFiles) {
  EXPECT_EQ(Refusal(kSmallJob, {"student.backbone=/a.pth"}), "");
  EXPECT_THAT(Refusal(kSmallJob, {"student.backbone=/a.pth", "student.init=/b.pth"}),
              HasSubstr("student.backbone: init has weights for the whole student"));
  EXPECT_THAT(Refusal(kSmallJob, {"student.model=torchscript"}),
              HasSubstr("student.init: missing: the file of the TorchScript module"));
  EXPECT_EQ(Refusal(kSmallJob, {"student.model=torchscript", "student.init=/a.pt"}), "");
}

TEST(JobCheckTest, ViewsOfEveryKindAreKnown) {
  for (const std::string views : {"live", "whole", "'whole: 360x480'", "'replay: 50'", "auto"}) {
    EXPECT_EQ(Refusal(kSmallJob, {"targets.views=" + views}), "") << views;
  }
  EXPECT_THAT(Refusal(kSmallJob, {"targets.views='whole: 360'"}),
              HasSubstr("targets.views: `whole: 360` is not allowed; `replay: K`"));
}

TEST(JobCheckTest, WhatIsNotAvailableIsUnimplemented) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"run.time_limit=1h", "run.time_limit"},
      {"run.launcher=kubernetes", "launcher kubernetes"},
      {"run.time_limit=24h", "run.time_limit"},
  };
  for (const auto& [assignment, what] : cases) {
    const absl::Status status = Parse(kSmallJob, {assignment}).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented) << assignment;
    EXPECT_THAT(std::string(status.message()), HasSubstr("not available in this version: " + what));
  }
}

TEST(JobCheckTest, ProblemsBesideUnavailableThingsAreInvalid) {
  const absl::Status status = Parse(kSmallJob, {"run.time_limit=1h", "train.momentum=2"}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("run.time_limit"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("train.momentum"));
}

TEST(JobCheckTest, UnavailableThingsHideNothingElse) {
  const std::string refusal =
      Refusal(kSmallJob, {"data.root=~", "run.time_limit=1h", "train.epochs=2"});
  EXPECT_THAT(refusal, HasSubstr("run.time_limit"));
  EXPECT_THAT(refusal, HasSubstr("data.root: missing"));
  EXPECT_THAT(refusal, HasSubstr("train: give steps or epochs, not both"));
}

TEST(JobCheckTest, SomeoneMustAnswerForTheTeacher) {
  EXPECT_THAT(Refusal(kSmallJob, {"run.teachers=0", "targets.cache=none"}),
              HasSubstr("run.teachers: 0, and targets.cache is none"));
  EXPECT_EQ(Refusal(kSmallJob, {"run.teachers=0"}), "");
  EXPECT_EQ(Refusal(kSmallJob, {"run.teachers=0", "targets.cache=none", "losses.kd=~"}), "");
}

TEST(JobCheckTest, TheOnlyTeacherIsTheDefault) {
  const std::vector<std::string> one = {"teachers=~", "teachers={big: {checkpoint: b}}"};
  const auto spec = Parse(kSmallJob, one);
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_THAT(UsedTeachers(*spec), testing::ElementsAre("big"));
  EXPECT_EQ(TeacherNamed(*spec, "default"), "big");
  EXPECT_EQ(TeacherNamed(*spec, "small"), "");
  EXPECT_THAT(Refusal(kSmallJob, {one[0], "teachers={big: {checkpoint: b}, old: {checkpoint: o}}"}),
              HasSubstr("losses.kd.teacher: no teacher `default`; there are: big, old"));
}

TEST(JobCheckTest, EachLossMayNameItsTeacher) {
  const std::string big = "teachers.big={checkpoint: b}";
  const auto both = Parse(kSmallJob, {big, "losses.icsd={teacher: big}"});
  ASSERT_TRUE(both.ok()) << both.status();
  EXPECT_THAT(UsedTeachers(*both), testing::ElementsAre("big", "default"));
  const auto one = Parse(kSmallJob, {big, "losses.kd.teacher=big"});
  ASSERT_TRUE(one.ok()) << one.status();
  EXPECT_THAT(UsedTeachers(*one), testing::ElementsAre("big"));
}

TEST(JobCheckTest, AnEnsembleIsMadeOfOtherTeachers) {
  const std::vector<std::string> job = {"teachers.big={checkpoint: b}",
                                        "teachers.both={ensemble: [default, big]}",
                                        "losses.kd.teacher=both"};
  const auto spec = Parse(kSmallJob, job);
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_THAT(UsedTeachers(*spec), testing::ElementsAre("both"));
  EXPECT_THAT(NetworksOf(*spec, "both"), testing::ElementsAre("default", "big"));
  EXPECT_THAT(NetworksOf(*spec, "big"), testing::ElementsAre("big"));
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"teachers.both.ensemble=[big]", "teachers.both.ensemble: expected at least two teachers"},
      {"teachers.both.ensemble=[big, big]", "`big` stands there twice"},
      {"teachers.both.ensemble=[big, old]", "there is no teacher `old`"},
      {"teachers.both.ensemble=[big, both]", "`both` is an ensemble itself"},
      {"teachers.both.checkpoint=b", "checkpoint, classes and expect_miou belong to its members"},
      {"losses.i2ckd={teacher: both}",
       "losses.i2ckd.tap: `aspp` of the ensemble `both`: an ensemble has logits alone"},
  };
  for (const auto& [assignment, expected] : cases) {
    std::vector<std::string> all = job;
    all.push_back(assignment);
    EXPECT_THAT(Refusal(kSmallJob, all), HasSubstr(expected)) << assignment;
  }
}

TEST(JobCheckTest, SpecsFromTheWireAreResolvedAsFilesAre) {
  v1::JobSpec sparse;
  sparse.set_name("small");
  sparse.mutable_data()->set_format("camvid");
  sparse.mutable_data()->set_root("/jobs/camvid");
  (*sparse.mutable_teachers())["default"].set_checkpoint("/jobs/t.safetensors");
  sparse.mutable_student()->set_model("deeplabv3_resnet18");
  sparse.mutable_losses()->mutable_ce();
  sparse.mutable_losses()->mutable_kd();
  sparse.mutable_train()->set_steps(10);
  const auto spec = ResolveJob(sparse);
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(ToJson(*spec), ToJson(*Parse(kSmallJob)));
  EXPECT_THAT(std::string(ResolveJob({}).status().message()),
              testing::AllOf(HasSubstr("name: missing"), HasSubstr("data.root: missing"),
                             HasSubstr("losses: no term is left")));
}

TEST(JobCheckTest, SpecsFromTheWireAreCheckedToo) {
  v1::JobSpec spec = *Parse(kSmallJob);
  EXPECT_TRUE(ValidateJob(spec).ok());
  spec.mutable_teachers()->at("default").set_numerics("rough");
  EXPECT_EQ(ValidateJob(spec).message(),
            "teachers.default.numerics: `rough` is not allowed; one of exact, fast");
}

// A default that its own field would refuse, or cannot read, is a mistake in config.proto.
void CheckDefaultsOf(const google::protobuf::Descriptor& block, int& defaults) {
  for (int i = 0; i < block.field_count(); ++i) {
    const FieldDescriptor& field = *block.field(i);
    const FieldFacts facts = FactsOf(field);
    EXPECT_NE(facts.doc, "") << field.full_name();
    if (!facts.default_text.empty()) ++defaults;
    if (!facts.allowed.empty() && !facts.default_text.empty()) {
      EXPECT_THAT(facts.allowed, testing::Contains(facts.default_text)) << field.full_name();
    }
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE && !field.is_map()) {
      CheckDefaultsOf(*field.message_type(), defaults);
    }
  }
}

TEST(JobCheckTest, EveryFieldIsDocumentedAndEveryDefaultAllowed) {
  int defaults = 0;
  CheckDefaultsOf(*v1::JobSpec::descriptor(), defaults);
  EXPECT_GT(defaults, 50);
  const auto all = Parse(kSmallJob, {"losses={icsd: {}, i2ckd: {}}"});
  EXPECT_TRUE(all.ok()) << all.status();
}

TEST(NearestNameTest, ByEditDistanceWithinAThird) {
  EXPECT_EQ(NearestName("tempature", {"weight", "temperature"}), "temperature");
  EXPECT_EQ(NearestName("zebra", {"weight", "temperature"}), "");
  EXPECT_EQ(NearestName("k", {"kd"}), "kd");
}

}  // namespace
}  // namespace reflux
