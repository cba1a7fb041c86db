// Which views a run trains on, decided when it starts: `whole` is measured, `auto` is chosen.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/cancellation.h"
#include "common/targets/target.h"
#include "distill/data/dataset.h"
#include "distill/data/view.h"
#include "job_plan/view_plan.h"
#include "reflux/v1/config.pb.h"
#include "student_worker/cache_notes.h"

namespace reflux {

struct ViewStartOptions {
  const v1::JobSpec& spec;
  const std::vector<TargetSpec>& specs;  // what the student asks of the teacher
  const TeacherInfo& teacher;
  TargetSource& source;
  const Dataset& train;
  const Dataset& val;
  CacheNotes* notes;  // null: no cache; figures then are measured at every start
  int64_t total_steps;
  std::string directory;    // of the run: `auto` keeps its choice in views.txt, for a resumed run
  bool keep_choice = true;  // of several ranks only the first does
  std::shared_ptr<Cancellation> stop;
};

// For `whole` (the choice itself, if CheckWhole allows it) and `auto` (ChooseViews). The comparison
// comes from the cache's notes or is measured on up to 32 validation images and kept there.
// `whole_tolerance: 100` allows everything without measuring.
absl::StatusOr<ViewDecision> DecideViews(const ViewStartOptions& options);

}  // namespace reflux
