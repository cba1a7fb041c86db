// The teacher's last description, kept in the store: a warm cache works with no teacher alive.
// Thread-safe.
#pragma once

#include <optional>
#include <string>

#include "cache/target_store.h"
#include "common/base/mutex.h"

namespace reflux {

class TeacherMemory {
 public:
  explicit TeacherMemory(TargetStore& store);

  // The last one remembered here, else what the store remembers (an import may have put it there).
  std::optional<TeacherInfo> Recall();
  // Kept in memory and, when it changed, in the store; a store that cannot write is logged only.
  void Remember(const TeacherInfo& info);
  // Of the remembered teacher, if it is this one; else empty.
  std::string ModelOf(const TeacherIdentity& teacher) const;

 private:
  void Load() REFLUX_REQUIRES(mutex_);

  TargetStore& store_;
  mutable Mutex mutex_;
  std::optional<TeacherInfo> info_ REFLUX_GUARDED_BY(mutex_);
  std::string stored_ REFLUX_GUARDED_BY(mutex_);  // serialised, as the store has it
};

}  // namespace reflux
