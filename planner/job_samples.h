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

// The distinct (image, view) pairs that a teacher is asked for in `steps` steps of `spec`, in the
// order in which they are first taken, as student_worker/batch_maker.h asks: the replayed views, or
// for `whole` the image itself; empty for live views. `facts` are those of the images of `dataset`,
// `labels` the label digests, where a reduction reads labels. Errors: those of PlanViews;
// FailedPrecondition for `auto`, which is chosen when the job starts; DataLoss names an image that
// cannot be read.
absl::StatusOr<std::vector<SampleRef>> ListJobSamples(const v1::JobSpec& spec,
                                                      const Dataset& dataset,
                                                      const std::vector<ImageFacts>& facts,
                                                      int64_t steps,
                                                      const std::vector<Digest>& labels = {});

}  // namespace reflux
