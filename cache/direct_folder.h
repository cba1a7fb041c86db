// The cache server's folder as a DirectSource sees it: found, opened, followed, given up.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cache/direct_source.h"
#include "cache/rocks_reader.h"
#include "common/base/mutex.h"

namespace reflux {

// Thread-safe.
class DirectFolder {
 public:
  explicit DirectFolder(const DirectSourceOptions& options) : options_(options) {}

  // The open folder, looked at anew when that is due in any case; null when there is none.
  std::shared_ptr<RocksReader> Reader();

  // Something is missing: looks at the folder anew if that is due. True when it did.
  bool LookAgain();
  // What the last look found of what was missing.
  void Found(bool any);

 private:
  // Null: not on this host, or it does not open; said in the log when that is news.
  std::shared_ptr<RocksReader> Open() REFLUX_REQUIRES(mutex_);
  // Looks at the folder anew if the last look is `pause` ago; others go on reading meanwhile.
  bool CatchUp(bool in_any_case);
  void Say(const std::string& what) REFLUX_REQUIRES(mutex_);

  const DirectSourceOptions options_;
  Mutex mutex_;
  std::shared_ptr<RocksReader> reader_ REFLUX_GUARDED_BY(mutex_);
  absl::Time next_open_ REFLUX_GUARDED_BY(mutex_) = absl::InfinitePast();
  absl::Time last_look_ REFLUX_GUARDED_BY(mutex_) = absl::InfinitePast();
  absl::Duration pause_ REFLUX_GUARDED_BY(mutex_);
  std::string said_ REFLUX_GUARDED_BY(mutex_);
};

}  // namespace reflux
