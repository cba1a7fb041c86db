// Which views a job trains on when it says `whole` or `auto`, and why.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/targets/target.h"
#include "common/targets/view_choice.h"
#include "distill/evaluation/view_comparison.h"

namespace reflux {

// What the choice depends on.
struct ViewFacts {
  int64_t images = 0;          // of the training split
  double draws = 0;            // of each image over the run: steps x batch / images
  bool cached = true;          // whether the job keeps its targets
  int64_t free_bytes = -1;     // that the cache may still take; negative: not known
  int64_t bytes_of_view = 0;   // of the targets of one crop
  int64_t bytes_of_whole = 0;  // of those of one whole image
  double tolerance = 1;        // points of mIoU that the teacher may lose by deriving
};

struct ViewDecision {
  ViewChoice choice;
  std::string why;  // a sentence for people, with the figures it rests on
};

// The rule of `auto`, in this order:
//   live      when nothing would be read twice (no cache, or fewer than two draws of an image)
//   whole     when its loss (ViewComparison::loss) is at most the tolerance and it fits
//   replay: K for K = min(draws rounded up, 16), or as many views as fit
//   live      when not one fits
// "Fits" is at most 80 % of the free bytes. `whole`: the comparison, or why there is none. Pure.
ViewDecision ChooseViews(const ViewFacts& facts, const absl::StatusOr<ViewComparison>& whole);

// Whether `whole` may be used: FailedPrecondition when the teacher loses more than the tolerance;
// the message has the figures and names the views that would do.
absl::Status CheckWhole(const ViewFacts& facts, const ViewComparison& comparison);

// Bytes of one sample's targets when the teacher is asked of height x width pixels; the most they
// can take where the codec compresses. Class sums are counted for the teacher's number of classes.
int64_t BytesOfView(const std::vector<TargetSpec>& specs, const TeacherInfo& teacher,
                    int32_t height, int32_t width);

}  // namespace reflux
