// One known image through a teacher: its answer tells whether the arithmetic is still what it was.
// Thread-safe.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/targets/target.h"

namespace reflux {

// SHA-256 of the teacher's fp32 logits for an image of 65x65 pixels that is always the same. Also
// warms the network up. Errors are those of the forward, e.g. OutOfRange for NaN.
absl::StatusOr<Digest> RunCanary(TargetSource& source, const TeacherIdentity& teacher);

// DataLoss when `directory` remembers another answer of this teacher with this build on a processor
// of this model; remembers the answer if it is the first. One file each, of 64 hexadecimal digits.
absl::Status CompareCanary(const std::string& directory, const TeacherIdentity& teacher,
                           const Digest& answer);

}  // namespace reflux
