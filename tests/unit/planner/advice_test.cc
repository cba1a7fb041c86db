#include "planner/advice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/planner/forecast_scene.h"

namespace reflux {
namespace {

using ::testing::HasSubstr;

KindCosts Kinds() {
  return {.replayed = {.bytes = kMega, .seconds = 0.2, .live_step = 3, .warm_step = 1},
          .whole = MapCost{.bytes = 4 * kMega, .seconds = 0.8, .live_step = 9, .warm_step = 1.5}};
}
const ViewRow& Row(const std::vector<ViewRow>& rows, const std::string& views) {
  for (const ViewRow& row : rows) {
    if (row.views == views) return row;
  }
  ADD_FAILURE() << "no row " << views;
  return rows.front();
}

CodecMeasure Codec(const std::string& name, double bytes, double error, double seconds = 0.001) {
  return {.name = name,
          .view_bytes = bytes,
          .error = error,
          .encode_seconds = seconds / 2,
          .decode_seconds = seconds / 2};
}

TEST(AdviseCodecTest, SmallerAtTheSameErrorAndNoTime) {
  const std::vector<CodecMeasure> codecs = {
      Codec("fp32", 4 * kMega, 0), Codec("fp16", 2 * kMega, 2e-4), Codec("int8", kMega, 5e-3),
      Codec("fp16+zstd", 1.5 * kMega, 2e-4, 0.2)};
  EXPECT_EQ(AdviseCodec("fp32", codecs, Job(), Machine()).name, "fp16");
  EXPECT_EQ(AdviseCodec("fp16", codecs, Job(), Machine()).name, "fp16");
  EXPECT_THAT(AdviseCodec("fp32", codecs, Job(), Machine()).reason, HasSubstr("0.50 of the bytes"));
  // With a disk that is too small, more error and more time are taken for fewer bytes.
  Measured full = Machine();
  full.free_disk_bytes = 900 * kMega;
  EXPECT_EQ(AdviseCodec("fp16", codecs, Job(), full).name, "int8");
  EXPECT_EQ(AdviseCodec("topk:4", codecs, Job(), full).name, "topk:4") << "not measured";
}

TEST(WarnOfCodecTest, WhenItChangesTheMapsByMoreThanOnePercent) {
  const std::vector<CodecMeasure> codecs = {Codec("int8", kMega, 5e-3), Codec("topk:4", 1, 0.4)};
  EXPECT_EQ(WarnOfCodec("int8", codecs), std::nullopt);
  EXPECT_EQ(WarnOfCodec("fp16", codecs), std::nullopt) << "not measured";
  EXPECT_THAT(WarnOfCodec("topk:4", codecs).value_or(""), HasSubstr("topk:4 changes"));
}

TEST(ForecastViewsTest, EachKindFromAnEmptyCache) {
  ForecastJob job = Job();
  job.missing_views = 200;
  const std::vector<ViewRow> rows = ForecastViews(job, Machine(), Kinds());
  ASSERT_EQ(rows.size(), 6u);
  EXPECT_EQ(rows.front().views, "whole");
  EXPECT_EQ(rows.back().views, "live");
  EXPECT_DOUBLE_EQ(Row(rows, "whole").cache_bytes, 400 * kMega);
  EXPECT_DOUBLE_EQ(Row(rows, "whole").fill_seconds, 80);
  // 10 steps fill, 390 are warm, embedded.
  EXPECT_DOUBLE_EQ(Row(rows, "whole").run_seconds, 10 * 9 + 390 * 1.5);
  EXPECT_DOUBLE_EQ(Row(rows, "replay: 1").cache_bytes, 100 * kMega);
  EXPECT_DOUBLE_EQ(Row(rows, "replay: 8").fill_seconds, 160) << "whatever is cached now";
  EXPECT_DOUBLE_EQ(Row(rows, "replay: 16").run_seconds, 160 * 3 + 240 * 1);
  EXPECT_DOUBLE_EQ(Row(rows, "live").run_seconds, 1200);
  EXPECT_EQ(Row(rows, "live").cache_bytes, 0);
}

TEST(ForecastViewsTest, SeveralStudentsReadAServerAndShortRunsSeeFewerViews) {
  ForecastJob job = Job();
  job.students = 2;
  job.steps = 20;  // two epochs
  const std::vector<ViewRow> rows = ForecastViews(job, Machine(), Kinds());
  EXPECT_DOUBLE_EQ(Row(rows, "replay: 16").cache_bytes, 200 * kMega);
  EXPECT_DOUBLE_EQ(Row(rows, "replay: 1").run_seconds, 10 * 3.1 + 10 * 1.1);
}

TEST(ForecastViewsTest, WithoutWholeWhereTheJobCannotHaveIt) {
  KindCosts kinds = Kinds();
  kinds.whole.reset();
  EXPECT_EQ(ForecastViews(Job(), Machine(), kinds).front().views, "replay: 1");
}

TEST(AdviseReductionTest, WhereItSavesBytes) {
  EXPECT_EQ(AdviseReduction(kMega, kMega, false).name, "none");
  const Advice saves = AdviseReduction(1 << 20, 1 << 15, false);
  EXPECT_EQ(saves.name, "auto");
  EXPECT_EQ(saves.reason, "32.0 KiB a view instead of 1.0 MiB, at the same loss");
  const Advice whole = AdviseReduction(1 << 20, 1 << 15, true);
  EXPECT_EQ(whole.name, "none");
  EXPECT_THAT(whole.reason, HasSubstr("with replayed views, 32.0 KiB"));
}

}  // namespace
}  // namespace reflux
