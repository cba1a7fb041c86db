// Everything a training step needs, read, decoded and fetched ahead of it.
#pragma once

#include <torch/types.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/targets/target.h"
#include "distill/data/dataset.h"
#include "distill/data/decoded_images.h"
#include "distill/data/mixing.h"
#include "distill/data/sample_stream.h"
#include "distill/data/view.h"
#include "student_worker/batch_memory.h"
#include "student_worker/target_maps.h"

namespace reflux {

// This rank's share of one global batch.
struct Batch {
  int64_t step = 0;
  int64_t first_position = 0;  // of the share in the global batch
  torch::Tensor images;        // [n,3,h,w] float32
  torch::Tensor labels;        // [n,h,w] int64; [n,1,1] in classification
  torch::Tensor mixed_labels;  // of the images that were mixed in, if any (distill/data/mixing.h)
  double label_share = 1;      // of `labels`
  torch::Tensor padding;  // [n,h,w] bool, of derived maps (LossInputs::padding); may be undefined
  // Teacher -> TargetSpec::name -> maps [n,C,h',w'].
  std::map<std::string, std::map<std::string, TargetMaps>> targets;
  int64_t target_bytes = 0;  // as they were delivered
  int64_t target_count = 0;
};

// By index into the data set.
struct SampleIdentities {
  std::vector<Digest> images;
  std::vector<Digest> labels;  // LabelDigests; empty unless some spec's reduction reads labels
};

// What is asked of one teacher, and where.
struct TeacherTargets {
  std::string name;  // as losses call it (LossTerm::teacher)
  TargetSource* source = nullptr;
  TeacherIdentity identity;
  std::vector<TargetSpec> specs;
  std::vector<int32_t> strides;  // of the specs' taps; needed for views.whole
};

struct BatchMakerOptions {
  ViewPolicy views;
  int64_t decoded_bytes = 0;  // decoded images kept in memory (DecodedImages)
  uint64_t view_seed = 0;
  Preprocessing preprocessing;  // the student's
  SampleStreamOptions stream;
  MixOptions mix;  // needs a job without teacher
  int64_t rank = 0, world_size = 1;
  std::vector<TeacherTargets> teachers;  // in turn, for each batch
  // Of images, labels and targets. Maps derived from whole images are not narrow: they are numbers
  // of their own.
  BatchForm form;
  // Time a fetch may take, restarts of servers included.
  absl::Duration fetch_timeout = absl::Minutes(10);
};

// Thread-safe: several batches are made at once.
class BatchMaker {
 public:
  // `dataset` and the teachers' sources must outlive the maker; `digests` are those of the data
  // set's images and labels in order.
  BatchMaker(const Dataset& dataset, SampleIdentities digests, const BatchMakerOptions& options);

  // Errors: those of reading, decoding and fetching, with the image's path; FailedPrecondition when
  // an image has changed since its digest was taken.
  absl::StatusOr<Batch> Make(int64_t step, const std::shared_ptr<Cancellation>& cancellation) const;

  const std::vector<TeacherTargets>& teachers() const { return options_.teachers; }
  const BatchForm& form() const { return options_.form; }  // as batches have it

 private:
  // A sample as the student sees it; `asked` has the view that the teacher is asked of.
  struct Loaded {
    SampleRef asked;
    View view;
  };
  // Images and labels of `draws`.
  absl::Status LoadSamples(const std::vector<Draw>& draws, Batch& batch,
                           std::vector<Loaded>& loaded) const;
  absl::Status MixIn(const std::vector<Draw>& draws, Batch& batch) const;
  absl::Status LoadSample(const Draw& draw, int64_t row, Batch& batch, Loaded& loaded) const;
  absl::Status FetchTargets(const TeacherTargets& teacher, const std::vector<Loaded>& loaded,
                            const std::shared_ptr<Cancellation>& cancellation, Batch& batch) const;

  const Dataset& dataset_;
  const SampleIdentities digests_;
  const BatchMakerOptions options_;
  const SampleStream stream_;
  const std::unique_ptr<DecodedImages> images_;
};

}  // namespace reflux
