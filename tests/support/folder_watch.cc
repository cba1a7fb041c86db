#include "tests/support/folder_watch.h"

#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <filesystem>

#include "absl/time/clock.h"

namespace reflux {

FolderWatch::FolderWatch(const std::string& folder)
    : folder_(folder), inotify_(inotify_init1(IN_CLOEXEC | IN_NONBLOCK)) {
  WatchAll();
}

FolderWatch::~FolderWatch() { close(inotify_); }

bool FolderWatch::Await(const std::function<bool()>& condition, absl::Duration patience) {
  const absl::Time deadline = absl::Now() + patience;
  while (true) {
    // Before the question: what changes after it wakes the poll.
    WatchAll();
    Drain();
    if (condition()) return true;
    const absl::Duration left = deadline - absl::Now();
    if (left <= absl::ZeroDuration()) return false;
    pollfd events{.fd = inotify_, .events = POLLIN};
    poll(&events, 1, static_cast<int>(absl::ToInt64Milliseconds(left)) + 1);
  }
}

// Again and again: watching a folder twice is one watch.
void FolderWatch::WatchAll() {
  constexpr uint32_t kChanges =
      IN_CREATE | IN_MOVED_TO | IN_MODIFY | IN_ATTRIB | IN_CLOSE_WRITE | IN_DELETE | IN_ONLYDIR;
  inotify_add_watch(inotify_, folder_.c_str(), kChanges);
  std::error_code error, vanished;
  std::filesystem::recursive_directory_iterator entries(folder_, error), end;
  for (; !error && entries != end; entries.increment(error)) {
    if (entries->is_directory(vanished)) {
      inotify_add_watch(inotify_, entries->path().c_str(), kChanges);
    }
  }
}

void FolderWatch::Drain() {
  alignas(inotify_event) char events[4096];
  while (read(inotify_, events, sizeof(events)) > 0) {
  }
}

bool PollOutside(const std::function<bool()>& condition, absl::Duration patience) {
  const absl::Time deadline = absl::Now() + patience;
  while (!condition()) {
    if (absl::Now() >= deadline) return condition();
    poll(nullptr, 0, /*timeout=*/5);
  }
  return true;
}

}  // namespace reflux
