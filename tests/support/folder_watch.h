// Waiting for what other processes do. One thread.
#pragma once

#include <functional>
#include <string>

#include "absl/time/time.h"

namespace reflux {

// Events of a folder and of all folders below it, also of those that appear later (inotify).
class FolderWatch {
 public:
  // `folder` must exist. Events from here on are seen.
  explicit FolderWatch(const std::string& folder);
  ~FolderWatch();
  FolderWatch(const FolderWatch&) = delete;
  FolderWatch& operator=(const FolderWatch&) = delete;

  // Asks `condition`, and again after every change in the folder, until it holds or `patience` is
  // over. What it says then.
  bool Await(const std::function<bool()>& condition, absl::Duration patience);

  // For a poll of several things: readable when something has changed, until Drain.
  int descriptor() const { return inotify_; }
  void Drain();

 private:
  void WatchAll();
  const std::string folder_;
  const int inotify_;
};

// For what tells nobody of a change, like /proc or a server's answer: asks `condition` every few
// milliseconds until it holds or `patience` is over. What it says then.
bool PollOutside(const std::function<bool()>& condition, absl::Duration patience);

}  // namespace reflux
