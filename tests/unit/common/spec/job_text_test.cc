#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "common/base/file.h"
#include "tests/unit/common/spec/spec_fixture.h"

namespace reflux {
namespace {

using google::protobuf::util::MessageDifferencer;
using ::testing::HasSubstr;

v1::JobSpec Resolved() {
  auto spec = Parse(kSmallJob, {"losses.ce=~", "losses.icsd={temperature: 0.1}", "train.seed=7",
                                "name=\"3\"", "teachers.big.checkpoint='/t: #2.safetensors'"});
  EXPECT_TRUE(spec.ok()) << spec.status();
  return *std::move(spec);
}

TEST(JobTextTest, YamlSpellsOutEverythingAndReadsBack) {
  const std::string yaml = ResolvedYaml(Resolved());
  EXPECT_THAT(yaml, HasSubstr("ce: ~"));
  EXPECT_THAT(yaml, HasSubstr("learning_rate: 0.02\n"));
  EXPECT_THAT(yaml, HasSubstr("crop: [360, 360]"));
  const auto again = Parse(yaml);
  ASSERT_TRUE(again.ok()) << again.status() << yaml;
  EXPECT_TRUE(MessageDifferencer::Equals(*again, Resolved())) << yaml;
}

TEST(JobTextTest, JsonHasTheNamesOfTheJobFileAndReadsBack) {
  const std::string json = ToJson(Resolved());
  EXPECT_THAT(json, HasSubstr("\"global_batch\": 8"));
  const auto again = FromJson(json);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_TRUE(MessageDifferencer::Equals(*again, Resolved()));
  EXPECT_FALSE(FromJson("{\"nam\": 3}").ok());
}

TEST(JobTextTest, JsonFilesLoadWithOverrides) {
  const std::string path = testing::TempDir() + "/job_text_test.json";
  ASSERT_TRUE(WriteFileAtomically(path, ToJson(Resolved())).ok());
  v1::JobSpec expected = Resolved();
  expected.mutable_train()->set_steps(11);
  const auto spec = LoadJobFile(path, {"train.steps=11"});
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_TRUE(MessageDifferencer::Equals(*spec, expected)) << spec->DebugString();
  ASSERT_TRUE(WriteFileAtomically(path, "{").ok());
  EXPECT_THAT(std::string(LoadJobFile(path).status().message()), HasSubstr(path + ": not a job"));
}

}  // namespace
}  // namespace reflux
