#include "orchestrator/job_state_machine.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/exit_codes.h"

namespace reflux {
namespace {

using Kind = JobAction::Kind;

bool IsPermanent(int exit_code) {
  return exit_code == kPermanentFailure || exit_code == kExitUsage;
}

class Machine {
 public:
  Machine(const store::JobStatus& status, const RestartPolicy& policy)
      : policy_(policy), result_{.status = status}, s_(result_.status) {}

  JobTransition Take() { return std::move(result_); }

  void On(const job_event::Start&) {
    if (s_.state() == v1::JOB_STATE_QUEUED) BeginStart();
  }

  void On(const job_event::ServicesReady&) {
    if (s_.state() == v1::JOB_STATE_STARTING && !AnyRankLives(s_)) StartGeneration();
  }

  void On(const job_event::ServicesFailed& event) {
    const bool undecided = s_.goal() == store::GOAL_RUN || s_.goal() == store::GOAL_RESTART;
    if (IsFinal(s_.state()) || s_.state() == v1::JOB_STATE_QUEUED || !undecided) {
      return;
    }
    EndWith(store::GOAL_FAIL, event.message, StopMode::kHurried);
  }

  void On(const job_event::RankRegistered& event) {
    store::Rank* rank = Find(event.generation, event.rank);
    if (rank == nullptr || rank->phase() != store::Rank::STARTING) return;
    rank->set_phase(store::Rank::REGISTERED);
    const bool all = std::all_of(s_.ranks().begin(), s_.ranks().end(), [](const store::Rank& r) {
      return r.phase() != store::Rank::STARTING;
    });
    if (all && s_.state() == v1::JOB_STATE_STARTING) {
      s_.set_state(v1::JOB_STATE_RUNNING);
      s_.set_message("");
    }
  }

  void On(const job_event::RankExited& event) {
    store::Rank* rank = Find(event.generation, event.rank);
    if (rank == nullptr || rank->phase() == store::Rank::EXITED) return;
    rank->set_phase(store::Rank::EXITED);
    rank->set_exit_code(event.exit_code);
    const std::string what = absl::StrCat("worker/", event.rank, " ended with ", event.how);
    const std::string why =
        event.log_tail.empty() ? what : absl::StrCat(what, ":\n", event.log_tail);
    const bool undecided = s_.goal() == store::GOAL_RUN;
    if (IsPermanent(event.exit_code) && (undecided || s_.goal() == store::GOAL_RESTART)) {
      EndWith(store::GOAL_FAIL, why, StopMode::kHurried);
    } else if (event.exit_code != kExitDone && undecided) {
      RestartOrFail(what, why);
    } else {
      FinishIfEnded();
    }
  }

  void On(const job_event::RankLost& event) {
    const store::Rank* rank = Find(event.generation, event.rank);
    if (rank == nullptr || rank->phase() == store::Rank::EXITED || s_.goal() != store::GOAL_RUN) {
      return;
    }
    const std::string what = absl::StrCat("worker/", event.rank, " no longer answers");
    RestartOrFail(what, what);
  }

  void On(const job_event::Progress& event) {
    if (event.generation != s_.generation() || IsFinal(s_.state())) return;
    if (event.step > s_.step() ||
        (!event.checkpoint.empty() && event.checkpoint != s_.checkpoint())) {
      s_.set_progressed(true);
    }
    // A new generation goes back to its checkpoint: that is no progress yet.
    s_.set_step(std::max(s_.step(), event.step));
    if (!event.checkpoint.empty()) s_.set_checkpoint(event.checkpoint);
  }

  void On(const job_event::RestartDue&) {
    if (s_.goal() == store::GOAL_RESTART && !AnyRankLives(s_)) StartGeneration();
  }

  void On(const job_event::Cancel&) {
    if (IsFinal(s_.state()) || s_.goal() == store::GOAL_CANCEL) return;
    if (AnyRankLives(s_)) s_.set_state(v1::JOB_STATE_CANCELLING);
    EndWith(store::GOAL_CANCEL, "cancelled", StopMode::kGraceful);
  }

  void On(const job_event::Suspend&) {
    if (IsFinal(s_.state()) || s_.state() == v1::JOB_STATE_QUEUED ||
        s_.goal() == store::GOAL_CANCEL || s_.goal() == store::GOAL_FAIL) {
      return;
    }
    EndWith(store::GOAL_SUSPEND, "the orchestrator was stopped; goes on when it is back",
            StopMode::kGraceful);
  }

  void On(const job_event::Recovered&) {
    if (IsFinal(s_.state()) || s_.state() == v1::JOB_STATE_QUEUED) return;
    if (s_.needs_services()) Do({Kind::kAcquireServices});
    const bool lives = AnyRankLives(s_);
    if (s_.goal() != store::GOAL_RUN && lives) {
      Do({Kind::kStopRanks, s_.goal() == store::GOAL_CANCEL || s_.goal() == store::GOAL_SUSPEND
                                ? StopMode::kGraceful
                                : StopMode::kHurried});
    } else if (s_.goal() == store::GOAL_RESTART) {
      Do({.kind = Kind::kScheduleRestart});
    } else if (!lives && !s_.needs_services()) {
      StartGeneration();
    }
  }

 private:
  void Do(const JobAction& action) { result_.actions.push_back(action); }

  store::Rank* Find(int generation, int rank) {
    if (generation != s_.generation() || rank < 0 || rank >= s_.ranks_size()) return nullptr;
    return s_.mutable_ranks(rank);
  }

  void BeginStart() {
    s_.set_state(v1::JOB_STATE_STARTING);
    s_.set_goal(store::GOAL_RUN);
    s_.set_message("waits for its teacher and cache");
    s_.clear_ranks();
    if (s_.needs_services()) {
      Do({Kind::kAcquireServices});
    } else {
      StartGeneration();
    }
  }

  void StartGeneration() {
    s_.set_state(v1::JOB_STATE_STARTING);
    s_.set_goal(store::GOAL_RUN);
    s_.set_generation(s_.generation() + 1);
    s_.set_progressed(false);
    if (s_.generation() == 1) s_.set_message("starts its students");
    s_.clear_ranks();
    for (int i = 0; i < s_.world_size(); ++i) s_.add_ranks();
    Do({Kind::kStartGeneration});
  }

  void RestartOrFail(const std::string& what, const std::string& why) {
    if (s_.restarts() >= s_.max_restarts()) {
      EndWith(store::GOAL_FAIL,
              absl::StrCat("given up after ", s_.restarts(), " restarts (run.max_restarts): ", why),
              StopMode::kHurried);
      return;
    }
    s_.set_restarts(s_.restarts() + 1);
    s_.set_failures_in_a_row(s_.progressed() ? 1 : s_.failures_in_a_row() + 1);
    EndWith(store::GOAL_RESTART,
            absl::StrCat(what, "; restart ", s_.restarts(), " of at most ", s_.max_restarts()),
            StopMode::kHurried);
  }

  // Stops what lives; when nothing does, the goal is reached at once.
  void EndWith(store::Goal goal, const std::string& message, StopMode mode) {
    s_.set_goal(goal);
    s_.set_message(message);
    if (AnyRankLives(s_)) {
      if (goal != store::GOAL_CANCEL) s_.set_state(v1::JOB_STATE_RESTARTING);
      Do({Kind::kStopRanks, mode});
    } else {
      FinishIfEnded();
    }
  }

  void FinishIfEnded() {
    if (AnyRankLives(s_)) return;
    const bool done = s_.ranks_size() > 0 &&
                      std::all_of(s_.ranks().begin(), s_.ranks().end(),
                                  [](const store::Rank& r) { return r.exit_code() == kExitDone; });
    if (done && s_.goal() != store::GOAL_CANCEL) {
      Finish(v1::JOB_STATE_SUCCEEDED);
      s_.set_message("");
    } else if (s_.goal() == store::GOAL_RESTART) {
      s_.set_state(v1::JOB_STATE_RESTARTING);
      Do({.kind = Kind::kScheduleRestart,
          .delay = RestartDelay(policy_, s_.failures_in_a_row() - 1)});
    } else if (s_.goal() == store::GOAL_SUSPEND) {
      Finish(v1::JOB_STATE_QUEUED);
    } else {
      Finish(s_.goal() == store::GOAL_CANCEL ? v1::JOB_STATE_CANCELLED : v1::JOB_STATE_FAILED);
    }
  }

  void Finish(v1::JobState state) {
    s_.set_state(state);
    s_.set_goal(store::GOAL_RUN);
    if (s_.needs_services()) Do({Kind::kReleaseServices});
  }

  const RestartPolicy& policy_;
  JobTransition result_;
  store::JobStatus& s_;
};

}  // namespace

absl::Duration RestartDelay(const RestartPolicy& policy, int failures_in_a_row) {
  const int doublings = std::clamp(failures_in_a_row, 0, 30);
  return std::min(policy.min_backoff * (int64_t{1} << doublings), policy.max_backoff);
}

JobTransition Transition(const store::JobStatus& status, const JobEvent& event,
                         const RestartPolicy& policy) {
  Machine machine(status, policy);
  std::visit([&machine](const auto& e) { machine.On(e); }, event);
  return machine.Take();
}

bool IsFinal(v1::JobState state) {
  return state == v1::JOB_STATE_SUCCEEDED || state == v1::JOB_STATE_FAILED ||
         state == v1::JOB_STATE_CANCELLED;
}

bool AnyRankLives(const store::JobStatus& status) {
  return std::any_of(status.ranks().begin(), status.ranks().end(),
                     [](const store::Rank& rank) { return rank.phase() != store::Rank::EXITED; });
}

}  // namespace reflux
