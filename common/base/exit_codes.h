// Exit codes that all our programs share, so that the orchestrator knows what a restart can mend. A
// person at `reflux` never sees kPermanentFailure: there what failed is kExitFailed. A third SIGINT
// or SIGTERM ends a program at once, with 130 (shutdown.h).
#pragma once

namespace reflux {

inline constexpr int kExitDone = 0;
// Something that another try may mend: a peer was lost, a server is away.
inline constexpr int kExitFailed = 1;
// Bad command line.
inline constexpr int kExitUsage = 2;
// Bad input (data, checkpoint, job file): the same again would fail again. Never restarted.
inline constexpr int kPermanentFailure = 3;
// Stopped on request before the end; what is on disk is resumable.
inline constexpr int kExitStopped = 4;

}  // namespace reflux
