// Target sets by the names that people type. Pure functions, thread-safe.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/targets/target_key.h"

namespace reflux {

// "camvid/deeplabv3_resnet101@9f3c01ab/logits/fp16": the display name, tap (with "|" and its
// reduction, if there is one) and codec. Sets that differ in preprocessing or numerics alone share
// it: then their ids part them.
std::string FullName(const TargetSet& set);

// Their full names, each on a line of its own, indented, with the beginning of the id.
std::string ListedSets(const std::vector<TargetSet>& sets);

// The places in `sets` of those that `name` means: DATASET/MODEL@DIGEST, with /TAP and /CODEC or
// without, where letters of the model may be left out ("r101") and the digest cut short ("9f3c");
// any beginning of a full name; or the beginning (4 digits or more) of a set's hexadecimal id.
// NotFound when there is none: the message lists what there is.
absl::StatusOr<std::vector<size_t>> FindSets(const std::vector<TargetSet>& sets,
                                             absl::string_view name);

}  // namespace reflux
