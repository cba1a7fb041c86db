// What a trainer reaches of one teacher.
#pragma once

#include "common/targets/target.h"
#include "student_worker/cache_notes.h"

namespace reflux {

struct TeacherAccess {
  TargetSource* source = nullptr;
  // The same past any cache of this process, for views that never come back; null: `source`.
  TargetSource* fresh_source = nullptr;
  // What is kept in the cache beside the targets; null: there is none.
  CacheNotes* notes = nullptr;
  // For a caller that only wants the targets cached; null: there is no cache.
  TargetSource* storing = nullptr;
};

}  // namespace reflux
