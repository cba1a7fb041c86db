// Which views of its training images a job takes. Torch-free, no I/O, thread-safe.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "common/targets/target.h"
#include "distill/data/dataset.h"
#include "distill/data/manifest.h"
#include "reflux/v1/config.pb.h"

namespace reflux {

// The distinct (image, view) pairs of `steps` steps of `spec`, in the order in which they are first
// taken, as student_worker/batch_maker.h draws them; for `whole` each image once, as a whole; empty
// for live views. `facts` are those of the images of `dataset`, `labels` the label digests, where a
// reduction reads labels. Errors: those of PlanViews; FailedPrecondition for `auto`; DataLoss names
// an image that cannot be read.
absl::StatusOr<std::vector<SampleRef>> ListJobSamples(const v1::JobSpec& spec,
                                                      const Dataset& dataset,
                                                      const std::vector<ImageFacts>& facts,
                                                      int64_t steps,
                                                      const std::vector<Digest>& labels = {});

}  // namespace reflux
