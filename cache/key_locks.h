// One writer a key: two Puts of one key, or a Put and a Drop, take turns; different keys do not
// wait for each other. Thread-safe.
#pragma once

#include <set>

#include "common/base/mutex.h"
#include "common/targets/target_key.h"

namespace reflux {

class KeyLocks {
 public:
  // Holds a key from construction to destruction; blocks while another holds it.
  class Hold {
   public:
    Hold(KeyLocks& locks, const TargetKey& key) : locks_(locks), key_(key) {
      MutexLock lock(locks_.mutex_);
      while (!locks_.held_.insert(key_).second) locks_.released_.Wait(locks_.mutex_);
    }
    ~Hold() {
      MutexLock lock(locks_.mutex_);
      locks_.held_.erase(key_);
      locks_.released_.NotifyAll();
    }
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;

   private:
    KeyLocks& locks_;
    const TargetKey key_;
  };

 private:
  Mutex mutex_;
  CondVar released_;
  std::set<TargetKey> held_ REFLUX_GUARDED_BY(mutex_);
};

}  // namespace reflux
