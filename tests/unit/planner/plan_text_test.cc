#include "planner/plan_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace reflux {
namespace {

using ::testing::HasSubstr;

Plan SomePlan() {
  Plan plan{.name = "job",
            .job = {.images = 100,
                    .steps = 400,
                    .global_batch = 10,
                    .replay = 8,
                    .views = 800,
                    .missing_views = 800},
            .views = "replay: 8",
            .codec = "fp16",
            .taps = {{.teacher = "default",
                      .spec = {.tap = "logits", .codec = Codec::kFp16},
                      .shape = {11, 45, 60},
                      .bytes = 59400}},
            .measured = {.view_bytes = 59400,
                         .view_seconds = 0.5,
                         .live_step = 3,
                         .warm_step = 1,
                         .served_step = 1.2,
                         .drive_write = 1e8,
                         .drive_read = 2e8,
                         .memory_bytes = 1e10,
                         .free_disk_bytes = 1e10},
            .drive = {.write = 1e8, .read = 2e8, .bytes = 256 << 20},
            .codecs = {{.name = "fp16", .view_bytes = 59400, .error = 2e-4}}};
  plan.coverage.specs.push_back({.teacher = "default", .targets = 800});
  plan.forecast = MakeForecast(plan.job, plan.measured);
  plan.view_rows = {
      {.views = "whole", .cache_bytes = 1 << 20, .fill_seconds = 61, .run_seconds = 90},
      {.views = "live", .run_seconds = 125}};
  plan.whole = "teacher's mIoU 48.6 live, 44.4 derived";
  plan.view_advice = {"replay: 16", "more would not be seen"};
  plan.reduction_advice = AdviseReduction(2048, 1024, /*whole=*/false);
  plan.codec_advice = AdviseCodec(plan.codec, plan.codecs, plan.job, plan.measured);
  return plan;
}

TEST(PlanTextTest, HasEveryFigureOnce) {
  const std::string text = PlanText(SomePlan());
  for (const std::string part :
       {"0 of 800 targets cached. The cache is empty.", "100 images, 400 steps of 10, replay: 8",
        "logits fp16 [11, 45, 60] 58.0 KiB", "45.3 MiB for 800 views",
        "6:40 for 800 views at 2 a second",
        "writes 95.4 MiB/s, reads 190.7 MiB/s, past the page cache", "replay embedded  1       3",
        "replay served    1.2     3.2", "live             3       -", "whole  1.0 MiB  1:01  1:30",
        "live   -        -     2:05", "views:         replay: 16 (more would not be seen)",
        "reduce:        auto (1.0 KiB a view instead of 2.0 KiB, at the same loss)",
        "from 1 run over these views; in a single run from 8.0 epochs on",
        "warning: the drive was written with 256.0 MiB"}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
  EXPECT_THAT(text, testing::ContainsRegex("replay embedded .*recommended\n"));
}

TEST(PlanTextTest, SaysWhatWasNotMeasured) {
  Plan plan = SomePlan();
  plan.drive.past_page_cache = false;
  plan.job.students = 2;
  const std::vector<std::string> warnings = PlanWarnings(plan);
  EXPECT_THAT(warnings[0], HasSubstr("real speed is not known"));
  EXPECT_THAT(warnings[1], HasSubstr("one of 2 students was timed, alone"));
  plan.drive = {.bytes = 1 << 20, .past_page_cache = true, .slowed = true};
  EXPECT_THAT(PlanWarnings(plan)[0], HasSubstr("slows down after its own fast cache"));
  plan.drive = {};
  EXPECT_THAT(PlanWarnings(plan)[0], HasSubstr("cache servers' machines"));
  EXPECT_THAT(PlanText(plan), HasSubstr("of the cache servers, not measured"));
  plan.codecs[0].error = 0.2;
  EXPECT_THAT(PlanWarnings(plan)[2], HasSubstr("fp16 changes the teacher's maps by 0.2"));
}

TEST(PlanTextTest, JsonHasTheSameFigures) {
  const nlohmann::json json = nlohmann::json::parse(PlanJson(SomePlan()));
  EXPECT_EQ(json["recommended"]["mode"], "replay embedded");
  EXPECT_EQ(json["modes"].size(), 3u);
  EXPECT_EQ(json["measured"]["warm_step"], 1);
  EXPECT_EQ(json["taps"][0]["shape"], nlohmann::json({11, 45, 60}));
  EXPECT_EQ(json["coverage"]["targets"], 800);
  EXPECT_EQ(json["paying_runs"], 1);
  EXPECT_EQ(json["view_rows"][0]["views"], "whole");
  EXPECT_EQ(json["view_rows"][0]["fill_seconds"], 61);
  EXPECT_EQ(json["whole"], "teacher's mIoU 48.6 live, 44.4 derived");
  EXPECT_EQ(json["recommended"]["views"], "replay: 16");
  EXPECT_EQ(json["recommended"]["reduce"], "auto");
}

}  // namespace
}  // namespace reflux
