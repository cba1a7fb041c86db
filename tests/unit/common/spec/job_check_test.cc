#include "common/spec/job_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/spec/field_options.h"
#include "tests/unit/common/spec/spec_fixture.h"

namespace reflux {
namespace {

using ::testing::HasSubstr;

TEST(JobCheckTest, EnumsListTheAllowedValues) {
  EXPECT_EQ(Refusal(kSmallJob, {"losses.icsd.form=fulll"}),
            "--set losses.icsd.form=fulll: losses.icsd.form: `fulll` is not allowed; one of full, "
            "code, mirror, per_image, full_raw");
}

TEST(JobCheckTest, RangesAreTold) {
  EXPECT_THAT(Refusal(kSmallJob, {"train.momentum=1"}),
              HasSubstr("train.momentum: 1 is out of range [0, 1)"));
  EXPECT_THAT(Refusal(kSmallJob, {"losses.kd.temperature=0"}),
              HasSubstr("losses.kd.temperature: 0 is out of range (0, inf)"));
  EXPECT_THAT(Refusal(kSmallJob, {"data.crop=[360, 0]"}),
              HasSubstr("data.crop: 0 is out of range [8, 16384]"));
  EXPECT_THAT(Refusal(kSmallJob, {"teacher.batch=0"}),
              HasSubstr("teacher.batch: 0 is out of range [1, 1024]"));
  // Longer than a small string: the path is rewritten while it is walked.
  EXPECT_THAT(Refusal(kSmallJob, {"teacher.expect_miou=101"}),
              HasSubstr("teacher.expect_miou: 101 is out of range [0, 100]"));
}

TEST(JobCheckTest, EachContradictionIsTold) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"train.steps=0", "job.yaml:6: train: give steps or epochs: how long to train"},
      {"train.epochs=2", "train: give steps or epochs, not both"},
      {"teachers=~", "job.yaml:5: losses.kd: needs a teacher"},
      {"losses.kd.teacher=big", "losses.kd.teacher: no teacher `big`; there are: default"},
      {"teacher.checkpoint=~", "teacher.checkpoint: missing: the file of the teacher"},
      {"run.students=9", "run.students: 9 students for a global batch of 8"},
      {"losses={ce: ~, kd: ~}", "losses: no term is left"},
      {"data.crop=[360]", "data.crop: expected two values, [height, width]"},
      {"data.eval_size=[360]", "data.eval_size: expected two values"},
      {"data.scale=[2, 1]", "data.scale: expected two values, [smallest, largest]"},
      {"data.root=~", "data.root: missing"},
      {"data.format=~", "data.format: missing; one of camvid"},
      {"student.output_stride=12", "student.output_stride: 12 is not 8 or 16"},
      {"targets.views='replay: 0'", "targets.views: `replay: 0` is not allowed"},
      {"name=../up", "name: missing or not a name"},
  };
  for (const auto& [assignment, expected] : cases) {
    EXPECT_THAT(Refusal(kSmallJob, {assignment}), HasSubstr(expected)) << assignment;
  }
}

TEST(JobCheckTest, WhatIsNotAvailableIsUnimplemented) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"targets.views=whole", "views whole"},   {"targets.codec=topk", "codec topk"},
      {"losses.afdcd={}", "loss afdcd"},        {"run.launcher=kubernetes", "launcher kubernetes"},
      {"teacher.layout=cirkd", "layout cirkd"}, {"run.time_limit=24h", "run.time_limit"},
  };
  for (const auto& [assignment, what] : cases) {
    const absl::Status status = Parse(kSmallJob, {assignment}).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented) << assignment;
    EXPECT_THAT(std::string(status.message()), HasSubstr("not available in this version: " + what));
  }
}

TEST(JobCheckTest, ProblemsBesideUnavailableThingsAreInvalid) {
  const absl::Status status =
      Parse(kSmallJob, {"targets.views=whole", "train.momentum=2"}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("views whole"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("train.momentum"));
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
