#include "common/base/progress_bar.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

namespace reflux {
namespace {

using ::testing::HasSubstr;

class ProgressBarTest : public testing::Test {
 protected:
  ProgressBarOptions Options(bool terminal, int64_t total) {
    ProgressBarOptions options;
    options.label = "training";
    options.total = total;
    options.terminal = terminal;
    options.now = [this] { return now_; };
    return options;
  }

  absl::Time now_ = absl::FromUnixSeconds(1000);
  std::ostringstream out_;
};

TEST_F(ProgressBarTest, TerminalRedrawsOneLineWithRateAndTimeLeft) {
  ProgressBar bar(out_, Options(true, 100));
  now_ += absl::Seconds(10);
  bar.Update(25, "loss 1.5");
  EXPECT_EQ(out_.str(),
            "\rtraining [######..................] 25/100 steps, 2.5 steps/s, ETA 0:30, "
            "loss 1.5\033[K");
  bar.Finish();
  EXPECT_THAT(out_.str(), testing::EndsWith("\033[K\n"));
}

TEST_F(ProgressBarTest, LogGetsPlainLinesAtAnInterval) {
  ProgressBar bar(out_, Options(false, 100));
  for (int i = 1; i <= 5; ++i) {
    now_ += absl::Seconds(1);
    bar.Update(i);
  }
  EXPECT_EQ(out_.str(),
            "training 1/100 steps, 1.0 steps/s, ETA 1:39\n"
            "training 3/100 steps, 1.0 steps/s, ETA 1:37\n"
            "training 5/100 steps, 1.0 steps/s, ETA 1:35\n");
  now_ += absl::Seconds(1);
  bar.Update(6);
  bar.Finish();
  bar.Finish();
  EXPECT_THAT(out_.str(), testing::EndsWith("ETA 1:35\ntraining 6/100 steps, 1.0 steps/s, ETA "
                                            "1:34\n"));
}

TEST_F(ProgressBarTest, FinishSaysNothingThatTheLogHolds) {
  ProgressBar bar(out_, Options(false, 100));
  bar.StartAt(100);
  bar.Update(100, "mIoU 20 %");
  now_ += absl::Seconds(1);
  bar.Update(100, "mIoU 20 %");
  bar.Finish();
  EXPECT_EQ(out_.str(), "training 100/100 steps, mIoU 20 %\n");
}

TEST_F(ProgressBarTest, ALateBarIsSilentAboutShortWork) {
  {
    LateBar bar(out_, Options(true, 100));
    now_ += absl::Milliseconds(900);
    bar.Update(100);
  }
  EXPECT_EQ(out_.str(), "");
  LateBar bar(out_, Options(false, 100));
  now_ += absl::Milliseconds(900);
  bar.Update(30);
  now_ += absl::Milliseconds(300);
  bar.Update(60);
  EXPECT_EQ(out_.str(), "training 60/100 steps, 50.0 steps/s, ETA 0:01\n");
  bar.Finish();
  bar.Finish();
  EXPECT_EQ(out_.str(), "training 60/100 steps, 50.0 steps/s, ETA 0:01\n");
}

TEST_F(ProgressBarTest, UnknownTotalHasNoTimeLeft) {
  ProgressBar bar(out_, Options(true, 0));
  now_ += absl::Seconds(4);
  bar.Update(1);
  EXPECT_EQ(bar.Line(), "training 1 steps, 0.25 steps/s");
}

TEST_F(ProgressBarTest, RateForgetsASlowStartAndASetback) {
  ProgressBar bar(out_, Options(true, 1000));
  now_ += absl::Seconds(100);
  bar.Update(1);
  for (int i = 1; i <= 70; ++i) {
    now_ += absl::Seconds(1);
    bar.Update(1 + 2 * i);
  }
  EXPECT_NEAR(bar.rate(), 2, 1e-9);
  bar.Update(50);
  EXPECT_EQ(bar.rate(), 0);
  now_ += absl::Seconds(2);
  bar.Update(51);
  EXPECT_NEAR(bar.rate(), 0.5, 1e-9);
}

TEST(ClockTextTest, MinutesHoursAndNonsense) {
  EXPECT_EQ(ClockText(absl::Seconds(7)), "0:07");
  EXPECT_EQ(ClockText(absl::Seconds(3 * 3600 + 4 * 60 + 5)), "3:04:05");
  EXPECT_EQ(ClockText(absl::InfiniteDuration()), "?");
}

}  // namespace
}  // namespace reflux
