#include "student_worker/bar_observer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

namespace reflux {
namespace {

using testing::HasSubstr;

StepReport Step(int64_t step) {
  return {.step = step,
          .total_steps = 100,
          .total_loss = 1.5,
          .losses = {{"ce", 1.25}, {"kd", 0.25}, {"kd.part", 9}}};
}

TEST(BarObserverTest, AResumedRunTellsItsOwnRateAndTheTimeLeft) {
  std::ostringstream out;
  absl::Time now = absl::UnixEpoch();
  BarObserver bar(out, [&now] { return now; });
  bar.OnPhase("training");
  now += absl::Seconds(2);
  bar.OnStep(Step(61));
  EXPECT_THAT(out.str(), HasSubstr("training ["));
  EXPECT_THAT(out.str(), HasSubstr("61/100 steps, 0.5 steps/s, ETA 1:18, loss 1.5 (ce 1.25, kd "
                                   "0.25)"));
}

TEST(BarObserverTest, HashingIsShownOnceItTakesLong) {
  std::ostringstream out;
  absl::Time now = absl::UnixEpoch();
  BarObserver bar(out, [&now] { return now; });
  bar.OnPhase("hashing images");
  bar.OnHashed(1, 40);
  EXPECT_EQ(out.str(), "") << "it may be done in a moment";
  now += absl::Seconds(2);
  bar.OnHashed(20, 40);
  EXPECT_THAT(out.str(), HasSubstr("hashing [############............] 20/40 files"));
  out.str("");
  bar.OnHashed(1, 40);  // of the labels, which are known already
  bar.OnHashed(40, 40);
  bar.OnPhase("training");
  EXPECT_EQ(out.str(), "\n") << "the line of the images is ended";
}

TEST(BarObserverTest, APhaseEndsTheLineAndBeginsAnotherRate) {
  std::ostringstream out;
  absl::Time now = absl::UnixEpoch();
  BarObserver bar(out, [&now] { return now; });
  bar.OnPhase("evaluating");
  bar.OnPhase("training");
  EXPECT_EQ(out.str(), "") << "nothing is known yet";
  now += absl::Seconds(1);
  bar.OnStep(Step(1));
  bar.OnPhase("evaluating");
  EXPECT_EQ(out.str().back(), '\n');
  now += absl::Hours(1);
  bar.OnPhase("training");
  now += absl::Seconds(1);
  out.str("");
  bar.OnStep(Step(2));
  EXPECT_THAT(out.str(), HasSubstr("2/100 steps, 1.0 steps/s, ETA 1:38"));
}

}  // namespace
}  // namespace reflux
