#include "common/spec/explain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "common/base/file.h"

namespace reflux {
namespace {

using ::testing::HasSubstr;

TEST(ExplainTest, BlockListsFieldsWithDefaultsAndSource) {
  const auto text = ExplainText("losses.icsd");
  ASSERT_TRUE(text.ok()) << text.status();
  EXPECT_THAT(*text, HasSubstr("Source: AICSD, arXiv 2308.04243."));
  EXPECT_THAT(*text, HasSubstr("  temperature: number, in (0, inf), default 1\n"));
  EXPECT_THAT(
      *text, HasSubstr("  form: full | code | mirror | per_image | full_raw | gram, default full"));
}

TEST(ExplainTest, OneFieldWithItsUnit) {
  EXPECT_EQ(*ExplainText("train.prefetch_mib"),
            "train.prefetch_mib: whole number, in [1, inf), MiB, default 2048\n"
            "  Upper bound of the bytes read ahead.\n");
}

TEST(ExplainTest, TeachersByNameShortFormAndSweeps) {
  EXPECT_THAT(*ExplainText("teacher.layout"), HasSubstr("teacher.layout: auto | reflux | cirkd"));
  EXPECT_THAT(*ExplainText("teachers.big.layout"), HasSubstr("default auto"));
  EXPECT_THAT(*ExplainText("teachers.big"), HasSubstr("expect_miou"));
  EXPECT_THAT(*ExplainText("variants.a.losses"), HasSubstr("i2ckd"));
  EXPECT_THAT(*ExplainText(""), HasSubstr("losses: block"));
}

TEST(ExplainTest, UnknownFieldSuggestsTheNearest) {
  EXPECT_EQ(ExplainText("losses.icds").status().message(),
            "losses.icds: no field `icds`, did you mean `icsd`?");
  EXPECT_EQ(ExplainText("train.seed.x").status().code(), absl::StatusCode::kNotFound);
}

TEST(ExplainTest, JsonCarriesTheSameFacts) {
  const auto out = nlohmann::json::parse(*ExplainJson("run"));
  EXPECT_EQ(out["path"], "run");
  EXPECT_EQ(out["fields"][0]["name"], "launcher");
  EXPECT_EQ(out["fields"][0]["allowed"], nlohmann::json({"local"}));
  EXPECT_EQ(out["fields"][4]["available"], false);
}

// docs/job_file.md ends with what `reflux explain --markdown` prints.
TEST(ExplainTest, DocumentationIsWhatTheSchemaSays) {
  const auto doc =
      ReadFile(std::string(std::getenv("REFLUX_SOURCE")) + "/docs/job_file.md", 1 << 20);
  ASSERT_TRUE(doc.ok()) << doc.status();
  const size_t begin = doc->find("## Every field\n");
  ASSERT_NE(begin, std::string::npos);
  EXPECT_EQ(doc->substr(begin), ExplainMarkdown())
      << "replace the end of docs/job_file.md by the output of: reflux explain --markdown";
}

}  // namespace
}  // namespace reflux
