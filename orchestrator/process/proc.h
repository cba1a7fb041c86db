// What /proc says about processes. Thread-safe, never blocks for long.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace reflux {

// Clock ticks after boot at which `pid` started; with the boot id (common/base/boot_id.h) this
// tells a reused pid from the process that had it. NotFound when there is no such process.
absl::StatusOr<uint64_t> ProcessStartTime(pid_t pid);

std::vector<pid_t> ChildrenOf(pid_t parent);

// Set by reflux-supervise, for everything below it, to the path of its record: a launch id may also
// exist under another state folder.
inline constexpr char kLaunchVariable[] = "REFLUX_LAUNCH";

// Living processes of this user that carry that path in their environment.
std::vector<pid_t> ProcessesOfLaunch(absl::string_view record);

// pidfd_open and pidfd_send_signal (glibc 2.36 declares them without extern "C"); -1 and errno.
int PidfdOpen(pid_t pid);
int PidfdSignal(int pidfd, int signal);

}  // namespace reflux
