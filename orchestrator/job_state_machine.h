// What becomes of a job when something happens to it: a pure function, so that every combination
// can be tested. Whoever calls it stores the new state before carrying out the actions, and sends
// Recovered for every stored job after a restart.
//
// Ranks live and die together: when one is lost the others are stopped, and the next generation
// starts from the newest checkpoint. All of them ending with exit code 0 is success.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "absl/time/time.h"
#include "orchestrator/launcher.h"
#include "orchestrator/store.pb.h"

namespace reflux {

struct RestartPolicy {
  // Doubles with every generation in a row that made no progress.
  absl::Duration min_backoff = absl::Seconds(1);
  absl::Duration max_backoff = absl::Seconds(30);
};
absl::Duration RestartDelay(const RestartPolicy& policy, int failures_in_a_row);

namespace job_event {
struct Start {};  // leaves the queue
struct ServicesReady {};
struct ServicesFailed {
  std::string message;
};
struct RankRegistered {
  int generation = 0;
  int rank = 0;
};
struct RankExited {
  int generation = 0;
  int rank = 0;
  int exit_code = 0;     // common/base/exit_codes.h; -1: by a signal, or lost
  std::string how;       // "signal 9", "exit code 1", ... for people
  std::string log_tail;  // last lines of its log
};
// Alive, but silent for longer than its lease.
struct RankLost {
  int generation = 0;
  int rank = 0;
};
struct Progress {
  int generation = 0;
  int64_t step = 0;
  std::string checkpoint;
};
struct RestartDue {};  // the delay of ScheduleRestart is over
struct Cancel {};
struct Suspend {};    // the orchestrator stops; the job goes on when it is back
struct Recovered {};  // the orchestrator has started with this stored state
}  // namespace job_event

using JobEvent = std::variant<job_event::Start, job_event::ServicesReady, job_event::ServicesFailed,
                              job_event::RankRegistered, job_event::RankExited, job_event::RankLost,
                              job_event::Progress, job_event::RestartDue, job_event::Cancel,
                              job_event::Suspend, job_event::Recovered>;

struct JobAction {
  enum class Kind {
    kAcquireServices,  // answered by ServicesReady or ServicesFailed; may be repeated
    kReleaseServices,
    kStartGeneration,  // launch every rank of status.generation
    kStopRanks,        // those that have not exited, in `mode`
    kScheduleRestart,  // RestartDue after `delay`
  };
  Kind kind;
  StopMode mode = StopMode::kGraceful;
  absl::Duration delay = absl::ZeroDuration();
};

struct JobTransition {
  store::JobStatus status;
  std::vector<JobAction> actions;
};

// Events that do not fit the state (a late exit of an older generation, a second cancel) change
// nothing.
JobTransition Transition(const store::JobStatus& status, const JobEvent& event,
                         const RestartPolicy& policy);

bool IsFinal(v1::JobState state);
bool AnyRankLives(const store::JobStatus& status);

}  // namespace reflux
