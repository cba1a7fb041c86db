#include "orchestrator/job_state_machine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "common/base/exit_codes.h"

namespace reflux {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Kind = JobAction::Kind;

// A job under test: events in, the kinds of the actions out.
class Job {
 public:
  explicit Job(int world_size = 2, bool needs_services = true, int max_restarts = 3) {
    status.set_state(v1::JOB_STATE_QUEUED);
    status.set_world_size(world_size);
    status.set_needs_services(needs_services);
    status.set_max_restarts(max_restarts);
  }
  std::vector<Kind> Send(const JobEvent& event) {
    JobTransition transition = Transition(status, event, policy);
    status = transition.status;
    actions = transition.actions;
    std::vector<Kind> kinds;
    for (const JobAction& action : actions) kinds.push_back(action.kind);
    return kinds;
  }
  Job& Running() {
    Send(job_event::Start{});
    Send(job_event::ServicesReady{});
    return Registered();
  }
  Job& Registered() {
    for (int rank = 0; rank < status.world_size(); ++rank) {
      Send(job_event::RankRegistered{status.generation(), rank});
    }
    return *this;
  }
  std::vector<Kind> Exit(int rank, int code) {
    return Send(job_event::RankExited{status.generation(), rank, code,
                                      "exit code " + std::to_string(code), "last line"});
  }
  // One rank fails and the rest follows.
  std::vector<Kind> Lose() {
    Exit(1, kExitFailed);
    return Exit(0, -1);
  }

  store::JobStatus status;
  std::vector<JobAction> actions;
  RestartPolicy policy;
};

TEST(JobStateMachine, WaitsForServicesThenStartsAndRuns) {
  Job job;
  EXPECT_THAT(job.Send(job_event::Start{}), ElementsAre(Kind::kAcquireServices));
  EXPECT_EQ(job.status.state(), v1::JOB_STATE_STARTING);
  EXPECT_THAT(job.Send(job_event::ServicesReady{}), ElementsAre(Kind::kStartGeneration));
  EXPECT_EQ(job.status.generation(), 1);
  EXPECT_EQ(job.status.ranks_size(), 2);
  job.Send(job_event::RankRegistered{1, 0});
  EXPECT_EQ(job.status.state(), v1::JOB_STATE_STARTING);
  job.Send(job_event::RankRegistered{1, 1});
  EXPECT_EQ(job.status.state(), v1::JOB_STATE_RUNNING);
  // Services that restart meanwhile say "ready" again.
  EXPECT_THAT(job.Send(job_event::ServicesReady{}), IsEmpty());
  EXPECT_EQ(job.status.generation(), 1);
}

TEST(JobStateMachine, AStudentAloneNeedsNoServices) {
  Job job(1, /*needs_services=*/false);
  EXPECT_THAT(job.Send(job_event::Start{}), ElementsAre(Kind::kStartGeneration));
  job.Registered();
  EXPECT_THAT(job.Exit(0, kExitDone), IsEmpty());
  EXPECT_EQ(job.status.state(), v1::JOB_STATE_SUCCEEDED);
}

TEST(JobStateMachine, SucceedsWhenEveryRankIsDone) {
  Job job;
  job.Running();
  EXPECT_THAT(job.Exit(0, kExitDone), IsEmpty());
  EXPECT_EQ(job.status.state(), v1::JOB_STATE_RUNNING);
  EXPECT_THAT(job.Exit(1, kExitDone), ElementsAre(Kind::kReleaseServices));
  EXPECT_EQ(job.status.state(), v1::JOB_STATE_SUCCEEDED);
}

TEST(JobStateMachine, ALostRankStopsTheOthersAndStartsTheNextGeneration) {
  Job job;
  job.Running();
  EXPECT_THAT(job.Exit(1, -1), ElementsAre(Kind::kStopRanks));
  EXPECT_EQ(job.actions[0].mode, StopMode::kHurried);
  EXPECT_EQ(job.status.state(), v1::JOB_STATE_RESTARTING);
  EXPECT_THAT(job.Send(job_event::RestartDue{}), IsEmpty()) << "a rank of the old one still lives";
  EXPECT_THAT(job.Exit(0, kExitStopped), ElementsAre(Kind::kScheduleRestart));
  EXPECT_EQ(job.actions[0].delay, absl::Seconds(1));
  EXPECT_THAT(job.Send(job_event::RestartDue{}), ElementsAre(Kind::kStartGeneration));
  EXPECT_EQ(job.status.generation(), 2);
  EXPECT_EQ(job.status.restarts(), 1);
  EXPECT_EQ(job.status.state(), v1::JOB_STATE_STARTING);
}

TEST(JobStateMachine, ARankDoneDoesNotCountWhenAnotherIsLost) {
  Job job;
  job.Running();
  job.Exit(0, kExitDone);
  EXPECT_THAT(job.Exit(1, kExitFailed), ElementsAre(Kind::kScheduleRestart));
  EXPECT_EQ(job.status.state(), v1::JOB_STATE_RESTARTING);
}

TEST(JobStateMachine, ASilentRankIsLost) {
  Job job;
  job.Running();
  EXPECT_THAT(job.Send(job_event::RankLost{1, 0}), ElementsAre(Kind::kStopRanks));
  EXPECT_THAT(job.Send(job_event::RankLost{1, 1}), IsEmpty());
  EXPECT_THAT(job.Exit(0, -1), IsEmpty());
  EXPECT_THAT(job.Exit(1, -1), ElementsAre(Kind::kScheduleRestart));
  EXPECT_EQ(job.status.restarts(), 1);
}

TEST(JobStateMachine, BackOffDoublesWithoutProgressAndIsCapped) {
  RestartPolicy policy;
  EXPECT_EQ(RestartDelay(policy, 0), absl::Seconds(1));
  EXPECT_EQ(RestartDelay(policy, 3), absl::Seconds(8));
  EXPECT_EQ(RestartDelay(policy, 5), absl::Seconds(30));
  EXPECT_EQ(RestartDelay(policy, 1000000), absl::Seconds(30));
  Job job(2, true, 10);
  job.Running();
  for (int delay : {1, 2, 4, 8}) {
    ASSERT_THAT(job.Lose(), ElementsAre(Kind::kScheduleRestart));
    EXPECT_EQ(job.actions[0].delay, absl::Seconds(delay));
    job.Send(job_event::RestartDue{});
    job.Registered();
  }
}

TEST(JobStateMachine, ProgressResetsTheBackOffButNotTheCount) {
  Job job(2, true, 10);
  job.Running();
  job.Lose();
  job.Send(job_event::RestartDue{});
  job.Registered().Lose();
  job.Send(job_event::RestartDue{});
  job.Registered().Send(job_event::Progress{job.status.generation(), 40, "step-40-gen-3"});
  job.Lose();
  EXPECT_EQ(job.actions[0].delay, absl::Seconds(1));
  EXPECT_EQ(job.status.restarts(), 3);
  job.Send(job_event::RestartDue{});
  // Steps that were already made before are no progress; nor is what an old generation reports.
  job.Send(job_event::Progress{job.status.generation(), 40, "step-40-gen-3"});
  job.Send(job_event::Progress{1, 99, "step-99-gen-1"});
  job.Lose();
  EXPECT_EQ(job.actions[0].delay, absl::Seconds(2));
  EXPECT_EQ(job.status.step(), 40);
}

TEST(JobStateMachine, GivesUpAfterMaxRestarts) {
  Job job(2, true, /*max_restarts=*/1);
  job.Running();
  job.Lose();
  job.Send(job_event::RestartDue{});
  job.Exit(1, kExitFailed);
  EXPECT_THAT(job.Exit(0, -1), ElementsAre(Kind::kReleaseServices));
  EXPECT_EQ(job.status.state(), v1::JOB_STATE_FAILED);
  EXPECT_THAT(job.status.message(), HasSubstr("1 restarts"));
  EXPECT_THAT(job.status.message(), HasSubstr("last line"));
}

TEST(JobStateMachine, BadInputIsNotRetried) {
  for (int code : {kPermanentFailure, kExitUsage}) {
    Job job;
    job.Running();
    EXPECT_THAT(job.Exit(0, code), ElementsAre(Kind::kStopRanks));
    EXPECT_THAT(job.Exit(1, -1), ElementsAre(Kind::kReleaseServices));
    EXPECT_EQ(job.status.state(), v1::JOB_STATE_FAILED);
    EXPECT_EQ(job.status.restarts(), 0);
    EXPECT_THAT(job.status.message(), HasSubstr("last line"));
  }
}

TEST(JobStateMachine, BadInputIsNoticedBehindALostPeer) {
  Job job;
  job.Running();
  job.Exit(1, kExitFailed);  // its peer went away
  EXPECT_THAT(job.Exit(0, kPermanentFailure), ElementsAre(Kind::kReleaseServices));
  EXPECT_EQ(job.status.state(), v1::JOB_STATE_FAILED);
  EXPECT_THAT(job.status.message(), HasSubstr("worker/0"));
}

TEST(JobStateMachine, CancelsFromEveryState) {
  Job queued;
  EXPECT_THAT(queued.Send(job_event::Cancel{}), ElementsAre(Kind::kReleaseServices));
  EXPECT_EQ(queued.status.state(), v1::JOB_STATE_CANCELLED);

  Job waiting;
  waiting.Send(job_event::Start{});
  EXPECT_THAT(waiting.Send(job_event::Cancel{}), ElementsAre(Kind::kReleaseServices));
  EXPECT_EQ(waiting.status.state(), v1::JOB_STATE_CANCELLED);
  EXPECT_THAT(waiting.Send(job_event::ServicesReady{}), IsEmpty());

  Job running;
  running.Running();
  EXPECT_THAT(running.Send(job_event::Cancel{}), ElementsAre(Kind::kStopRanks));
  EXPECT_EQ(running.actions[0].mode, StopMode::kGraceful);
  EXPECT_EQ(running.status.state(), v1::JOB_STATE_CANCELLING);
  EXPECT_THAT(running.Send(job_event::Cancel{}), IsEmpty());
  EXPECT_THAT(running.Exit(0, kExitStopped), IsEmpty());
  EXPECT_THAT(running.Exit(1, kPermanentFailure), ElementsAre(Kind::kReleaseServices));
  EXPECT_EQ(running.status.state(), v1::JOB_STATE_CANCELLED);

  Job restarting;
  restarting.Running().Lose();
  EXPECT_THAT(restarting.Send(job_event::Cancel{}), ElementsAre(Kind::kReleaseServices));
  EXPECT_EQ(restarting.status.state(), v1::JOB_STATE_CANCELLED);
  EXPECT_THAT(restarting.Send(job_event::RestartDue{}), IsEmpty());
}

TEST(JobStateMachine, SuspendsToTheQueueAndGoesOn) {
  Job job;
  job.Running();
  EXPECT_THAT(job.Send(job_event::Suspend{}), ElementsAre(Kind::kStopRanks));
  EXPECT_EQ(job.actions[0].mode, StopMode::kGraceful);
  job.Exit(0, kExitStopped);
  EXPECT_THAT(job.Exit(1, kExitStopped), ElementsAre(Kind::kReleaseServices));
  EXPECT_EQ(job.status.state(), v1::JOB_STATE_QUEUED);
  EXPECT_EQ(job.status.restarts(), 0);
  EXPECT_THAT(job.Send(job_event::Start{}), ElementsAre(Kind::kAcquireServices));
  EXPECT_THAT(job.Send(job_event::ServicesReady{}), ElementsAre(Kind::kStartGeneration));
  EXPECT_EQ(job.status.generation(), 2);
}

TEST(JobStateMachine, AJobThatIsDoneWhileSuspendedHasSucceeded) {
  Job job;
  job.Running();
  job.Send(job_event::Suspend{});
  job.Exit(0, kExitDone);
  job.Exit(1, kExitDone);
  EXPECT_EQ(job.status.state(), v1::JOB_STATE_SUCCEEDED);
}

TEST(JobStateMachine, FailsWithItsServices) {
  Job waiting;
  waiting.Send(job_event::Start{});
  EXPECT_THAT(waiting.Send(job_event::ServicesFailed{"teacher: no file"}),
              ElementsAre(Kind::kReleaseServices));
  EXPECT_EQ(waiting.status.state(), v1::JOB_STATE_FAILED);
  EXPECT_EQ(waiting.status.message(), "teacher: no file");

  Job running;
  running.Running();
  EXPECT_THAT(running.Send(job_event::ServicesFailed{"cache died"}), ElementsAre(Kind::kStopRanks));
  running.Exit(0, kExitStopped);
  running.Exit(1, kExitStopped);
  EXPECT_EQ(running.status.state(), v1::JOB_STATE_FAILED);
}

TEST(JobStateMachine, RecoveryRepeatsWhatMayNotHaveHappened) {
  Job waiting;
  waiting.Send(job_event::Start{});
  EXPECT_THAT(waiting.Send(job_event::Recovered{}), ElementsAre(Kind::kAcquireServices));

  Job running;
  running.Running();
  EXPECT_THAT(running.Send(job_event::Recovered{}), ElementsAre(Kind::kAcquireServices));
  EXPECT_EQ(running.status.state(), v1::JOB_STATE_RUNNING);

  Job stopping;
  stopping.Running().Exit(0, -1);
  EXPECT_THAT(stopping.Send(job_event::Recovered{}),
              ElementsAre(Kind::kAcquireServices, Kind::kStopRanks));

  Job backing_off;
  backing_off.Running().Lose();
  EXPECT_THAT(backing_off.Send(job_event::Recovered{}),
              ElementsAre(Kind::kAcquireServices, Kind::kScheduleRestart));

  Job cancelling(2, false);
  cancelling.Running().Send(job_event::Cancel{});
  EXPECT_THAT(cancelling.Send(job_event::Recovered{}), ElementsAre(Kind::kStopRanks));
  EXPECT_EQ(cancelling.actions[0].mode, StopMode::kGraceful);
}

std::vector<JobEvent> EveryEvent(int generation) {
  return {job_event::Start{},
          job_event::ServicesReady{},
          job_event::ServicesFailed{"x"},
          job_event::RankRegistered{generation, 0},
          job_event::RankRegistered{generation, 1},
          job_event::RankExited{generation, 0, kExitDone, "", ""},
          job_event::RankExited{generation, 1, kExitDone, "", ""},
          job_event::RankExited{generation, 0, kExitFailed, "", ""},
          job_event::RankExited{generation, 1, kPermanentFailure, "", ""},
          job_event::RankExited{generation - 1, 1, kExitFailed, "", ""},
          job_event::RankExited{generation, 7, kExitFailed, "", ""},
          job_event::RankLost{generation, 0},
          job_event::Progress{generation, 5, "c"},
          job_event::RestartDue{},
          job_event::Cancel{},
          job_event::Suspend{},
          job_event::Recovered{}};
}

// Walks every reachable state with every event and checks what must hold in all of them.
TEST(JobStateMachine, KeepsItsInvariantsInEveryReachableState) {
  Job job(2, true, /*max_restarts=*/1);
  std::vector<store::JobStatus> frontier = {job.status};
  std::set<std::string> seen = {job.status.SerializeAsString()};
  while (!frontier.empty()) {
    const store::JobStatus from = frontier.back();
    frontier.pop_back();
    for (const JobEvent& event : EveryEvent(from.generation())) {
      const auto [to, actions] = Transition(from, event, {});
      const bool lives = AnyRankLives(to);
      const std::string where = from.ShortDebugString() + " event " +
                                std::to_string(event.index()) + " -> " + to.ShortDebugString();
      if (IsFinal(from.state())) {
        EXPECT_EQ(to.SerializeAsString(), from.SerializeAsString()) << where;
        EXPECT_TRUE(actions.empty()) << where;
      }
      EXPECT_FALSE(lives && (IsFinal(to.state()) || to.state() == v1::JOB_STATE_QUEUED)) << where;
      EXPECT_LE(to.restarts(), to.max_restarts()) << where;
      EXPECT_GE(to.generation(), from.generation()) << where;
      for (const JobAction& action : actions) {
        if (action.kind == Kind::kStartGeneration) {
          EXPECT_FALSE(AnyRankLives(from) && from.generation() > 0 &&
                       !std::holds_alternative<job_event::RankExited>(event))
              << where;
          EXPECT_EQ(to.generation(), from.generation() + 1) << where;
        }
      }
      // A generation that is meant to end has something that will end it.
      if (to.goal() != store::GOAL_RUN && from.goal() == store::GOAL_RUN) {
        EXPECT_FALSE(actions.empty()) << where;
      }
      if (to.generation() <= 3 && seen.insert(to.SerializeAsString()).second) {
        frontier.push_back(to);
      }
    }
  }
  EXPECT_GT(seen.size(), 50u);
}

}  // namespace
}  // namespace reflux
