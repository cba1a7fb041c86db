// reflux-bench-pace runs, and its parts do what its figures rest on. No time is asserted.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <limits>
#include <mutex>
#include <set>

#include "bench/asked_process.h"
#include "bench/pace_report.h"
#include "bench/pace_search.h"
#include "bench/pace_student.h"
#include "bench/run_benchmark.h"
#include "bench/scratch_folder.h"

namespace reflux {
namespace {

using testing::HasSubstr;

TEST(BenchPaceTest, QuickRunFindsAPaceOfEveryRow) {
  const nlohmann::json result = RunBenchmark("reflux-bench-pace", "--quick --taps logits,c4");
  std::set<std::string> names;
  for (const auto& row : result["rows"]) {
    names.insert(row["name"]);
    const nlohmann::json& seconds = row["seconds"];
    EXPECT_TRUE(seconds.is_null() || (seconds >= 0.01 && seconds <= 0.5)) << row;
    for (const char* base : {"ratio_to_npy", "ratio_to_lmdb"}) {
      EXPECT_TRUE(row[base].is_null() || row[base] > 0) << row;
    }
  }
  std::set<std::string> expected;
  for (const char* row : {"memory", "npy", "lmdb", "embedded", "same_host", "grpc", "unchecked"}) {
    expected.insert(std::string("logits: ") + row);
    expected.insert(std::string("c4: ") + row);
  }
  EXPECT_EQ(names, expected);
  ASSERT_EQ(result["taps"].size(), 2u);
  EXPECT_EQ(result["taps"][1]["batch_bytes"], 2 * 2048 * (96 / 8) * (160 / 8) * 2);
  for (const auto& tap : result["taps"]) {
    EXPECT_GE(tap["stored_bytes"], 5 * 3 * tap["value_bytes"].get<int64_t>());  // 3 in 5 forms
    EXPECT_GE(tap["cached_after"], 0);
    EXPECT_LE(tap["cached_after"], 1);
  }
}

TEST(PaceOptionsTest, AreTheSizesOfABatch) {
  const PaceBenchOptions options;
  EXPECT_EQ(16 * options.stored("logits")->value_bytes(), 4'980'736);
  EXPECT_EQ(16 * options.stored("aspp")->value_bytes(), 67'108'864);
  EXPECT_EQ(16 * options.stored("c4")->value_bytes(), 536'870'912);
  EXPECT_TRUE(absl::IsInvalidArgument(options.stored("c5").status()));
}

TEST(PaceSearchTest, FindsTheSmallestPaceThatIsKept) {
  for (const double limit : {10.1, 37.5, 200.0, 499.0}) {
    int tries = 0;
    const auto pace = SmallestPace({.least = 10, .most = 500}, [&](double middle) {
      ++tries;
      return middle >= limit;
    });
    EXPECT_GE(*pace, limit);
    EXPECT_LE(*pace, limit * 1.04);
    EXPECT_LE(tries, 9);
  }
}

TEST(PaceSearchTest, EndsAtTheLimitsAndWithAnError) {
  const PaceRange range{.least = 10, .most = 500};
  EXPECT_EQ(*SmallestPace(range, [](double) { return true; }), 10);
  EXPECT_EQ(*SmallestPace(range, [](double) { return false; }),
            std::numeric_limits<double>::infinity());
  EXPECT_EQ(*SmallestPace(range, [](double pace) { return pace >= 500; }), 500);
  const auto failing = [](double) -> absl::StatusOr<bool> { return absl::DataLossError("gone"); };
  EXPECT_TRUE(absl::IsDataLoss(SmallestPace(range, failing).status()));
}

// Notes what it is asked for.
class NotingReader : public TargetReader {
 public:
  absl::Status Read(const std::vector<int>& order, BatchRows&) override {
    const std::lock_guard lock(mutex_);
    asked.push_back(order);
    return status;
  }
  std::vector<std::vector<int>> asked;
  absl::Status status;

 private:
  std::mutex mutex_;
};

TEST(PaceStudentTest, TakesTheValuesInTurnAndMakesNoMoreThanTheDepthAhead) {
  PaceBenchOptions options;
  options.batch = 2;
  options.steps = 3;
  options.threads = 1;
  options.depth = 2;
  NotingReader reader;
  const auto stall = MeasureStall(reader, {options, 8, {0, 2, 1}}, absl::Milliseconds(1));
  ASSERT_TRUE(stall.ok()) << stall.status();
  const std::vector<std::vector<int>> turns = {{0, 2}, {1, 0}, {2, 1}};
  for (size_t i = 0; i < reader.asked.size(); ++i) EXPECT_EQ(reader.asked[i], turns[i % 3]);
  // The first batch and one a step, unless a hindered try ended early; then what is ahead.
  EXPECT_GE(reader.asked.size(), 2u);
  EXPECT_LE(reader.asked.size(), 1u + 3 + 2);
}

TEST(BatchRowsTest, HoldTheirRowsInPagesOfEveryKind) {
  using Pages = BatchRows::Pages;
  for (const Pages pages : {Pages::kTouched, Pages::kFresh, Pages::kFreshHuge}) {
    BatchRows rows(2, 3'000'000, pages);
    for (int i = 0; i < 2; ++i) std::fill_n(rows.row(i), rows.row_bytes(), static_cast<char>(i));
    EXPECT_EQ(rows.row(0)[2'999'999], 0);
    EXPECT_EQ(rows.row(1)[2'999'999], 1);
  }
}

TEST(PaceStudentTest, ALoaderThatFailsEndsTheTry) {
  const PaceBenchOptions options;
  NotingReader reader;
  reader.status = absl::DataLossError("flipped");
  EXPECT_TRUE(
      absl::IsDataLoss(MeasureStall(reader, {options, 8, {0}}, absl::Milliseconds(1)).status()));
}

TEST(PaceReportTest, APaceAtALimitIsNoNumber) {
  const double missed = std::numeric_limits<double>::infinity();
  const PaceBenchOptions options;
  const std::vector<PaceTap> taps = {{.tap = "c4",
                                      .values = *options.stored("c4"),
                                      .before = {},
                                      .after = {},
                                      .rows = {{"npy", {100, 200, 300}},
                                               {"lmdb", {10, 10, 10}},
                                               {"grpc", {missed, 400, missed}},
                                               {"same_host", {50, 100, 150}}}}};
  const nlohmann::json rows = nlohmann::json::parse(PaceJson(options, taps)).at("rows");
  EXPECT_DOUBLE_EQ(rows[3]["seconds"], 0.1);
  EXPECT_DOUBLE_EQ(rows[3]["ratio_to_npy"], 0.5);
  EXPECT_TRUE(rows[2]["seconds"].is_null());
  EXPECT_TRUE(rows[2]["ratio_to_npy"].is_null());
  EXPECT_TRUE(rows[1]["ratio_to_npy"].is_null()) << "the least or less";
  EXPECT_TRUE(rows[3]["ratio_to_lmdb"].is_null()) << "to the least or less";
  EXPECT_EQ(rows[2]["rounds_missed"], 2);
  const std::string table = PaceTable(options, taps);
  EXPECT_THAT(table, HasSubstr("| c4 | grpc | > 500 [450.0, > 500] | - | - |"));
  EXPECT_THAT(table, HasSubstr("| c4 | lmdb | <= 10 [<= 10, <= 10] |"));
}

TEST(PageCacheTest, CountsALinkedFileOnce) {
  const auto folder = *ScratchFolder::Create(testing::TempDir());
  std::ofstream(folder->path() + "/file") << std::string(100'000, 'x');
  std::filesystem::create_hard_link(folder->path() + "/file", folder->path() + "/link");
  const auto files = LookAtPageCache(folder->path());
  ASSERT_TRUE(files.ok()) << files.status();
  EXPECT_EQ(files->bytes, 100'000);
  EXPECT_LE(files->cached_bytes, 100'000);
}

TEST(AskedProcessTest, AnswersUntilItEnds) {
  const auto echo = *AskedProcess::Start("read line; echo \"heard $line\"");
  EXPECT_EQ(*echo->Ask("a b"), "heard a b");
  EXPECT_TRUE(absl::IsUnavailable(echo->Ask("c").status()));
}

}  // namespace
}  // namespace reflux
