// Every codec on real maps of a teacher: size, error, speed.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "common/targets/target.h"
#include "planner/forecast.h"

namespace reflux {

// Asks `source` for the samples and taps of `request` in fp32, and encodes and decodes each map
// with every codec that may hold it (its own codecs are ignored). The numbers are means over the
// samples, of all taps of a view together; the error is over all values of all taps. Errors: those
// of `source`; a codec that refuses a map is left out.
absl::StatusOr<std::vector<CodecMeasure>> MeasureCodecs(const TargetRequest& request,
                                                        TargetSource& source);

}  // namespace reflux
