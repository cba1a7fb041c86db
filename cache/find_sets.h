// Sets by the names that people type.
#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "cache/target_store.h"

namespace reflux {

// "camvid/deeplabv3_resnet101@9f3c01ab/logits/fp16": the display name, tap and codec. Sets that
// differ in preprocessing or numerics alone share it: then their ids part them.
std::string FullName(const TargetSet& set);

// The sets whose full name, or hexadecimal id, begins with `name`. NotFound when there is none: the
// message lists what there is.
absl::StatusOr<std::vector<StoredSet>> FindSets(const std::vector<StoredSet>& sets,
                                                absl::string_view name);

// The only one of FindSets; a set with exactly this full name wins over longer ones.
// FailedPrecondition when there are several: the message lists them.
absl::StatusOr<StoredSet> FindSet(const std::vector<StoredSet>& sets, absl::string_view name);

}  // namespace reflux
