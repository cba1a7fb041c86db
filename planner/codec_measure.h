// Every codec on real maps of a teacher: size, error, speed.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/targets/target.h"
#include "planner/advice.h"

namespace reflux {

// Some samples of one teacher.
struct CodecRequest {
  TargetRequest request;
  TargetSource* source = nullptr;
};

// Asks each source for the samples and taps of its request in fp32, and encodes and decodes each
// map with every codec that may hold them all, and with `current`, the job's own. The requests are
// for the same number of samples. The numbers are means over the samples, of all taps of a view of
// all teachers together; the error is over all values. Errors: those of the sources; a codec that
// refuses a map is left out.
absl::StatusOr<std::vector<CodecMeasure>> MeasureCodecs(std::vector<CodecRequest> requests,
                                                        const std::string& current);

}  // namespace reflux
