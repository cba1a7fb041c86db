// Measured view comparisons as they are kept with the target sets (a cache's notes). Thread-safe.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/targets/target.h"
#include "distill/evaluation/view_comparison.h"
#include "reflux/v1/targets.pb.h"

namespace reflux {

// The note's name: it changes with everything that the figures depend on: the target sets compared
// (teacher, preprocessing, numerics, tap, codec, data set), the views, and the bytes of images and
// labels (`compared`: their digests, in order).
std::string ViewNoteName(const TeacherIdentity& teacher, const std::string& dataset,
                         const ViewComparisonOptions& options, const std::vector<Digest>& compared);

// A reflux.v1.ViewComparison message.
std::string EncodeViewNote(const ViewComparison& comparison, const std::string& dataset,
                           const ViewComparisonOptions& options, absl::Time measured);
// DataLoss when `bytes` are no such message, or its figures make no sense.
absl::StatusOr<ViewComparison> DecodeViewNote(absl::string_view bytes);

}  // namespace reflux
