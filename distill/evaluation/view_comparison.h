// How far a map derived from the whole image's (views `whole`) is from a live one, and what that
// costs: the teacher's mIoU on both. Measured through a TargetSource, so in any process that can
// ask a teacher; what a cache on the way has is not computed again. Thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/cancellation.h"
#include "common/targets/target.h"
#include "distill/data/dataset.h"
#include "distill/data/view.h"

namespace reflux {

// Which of a view's changes to the image are compared.
enum class ViewKind {
  kAll,    // views as training draws them
  kCrop,   // the crop alone, at the image's own size
  kFlip,   // the whole image mirrored
  kScale,  // the whole image at the drawn scale
};
std::string Name(ViewKind kind);  // "all", "crop", "flip", "scale"

struct ViewComparisonOptions {
  ViewPolicy policy;  // with `whole` and its size
  ViewKind kind = ViewKind::kAll;
  uint64_t view_seed = 0;
  int64_t images = 32;  // the first N of the data set
  int64_t views = 1;    // of each
  // Maps that are compared; the logits are in any case, in the codec of the first spec.
  std::vector<TargetSpec> specs;
  absl::Duration timeout = absl::Minutes(30);  // of a fetch
};

// Means over the positions inside the images.
struct TapDifference {
  std::string tap;
  int64_t positions = 0;
  double cosine = 0;  // of the channels of live and derived map
  // Of logits, negative for other taps: KL(softmax(live) || softmax(derived)), and the share of
  // positions with the same greatest class.
  double kl = -1, agreement = -1;
};

struct ViewComparison {
  std::vector<TapDifference> taps;         // logits first
  double live_miou = 0, derived_miou = 0;  // percent, the teacher's, on the views' labels
  int64_t images = 0, views = 0;

  // Points of mIoU that the teacher loses by deriving.
  double loss() const { return live_miou - derived_miou; }
};

// `dataset` has labels (a val split). Logits of both are brought to the view's size bilinearly with
// aligned corners. FailedPrecondition when no compared pixel is labelled; InvalidArgument for a
// spec with a reduction, or a tap whose maps have not the geometry of derived_map.h; the errors of
// reading and fetching.
absl::StatusOr<ViewComparison> CompareViews(TargetSource& source, const TeacherInfo& teacher,
                                            const Dataset& dataset,
                                            const ViewComparisonOptions& options,
                                            const std::shared_ptr<Cancellation>& cancellation);

// A line for people: "teacher's mIoU 61.2 live, 60.9 derived (32 views of 32 images); logits cosine
// 0.98, KL 0.02, same class 0.96; aspp cosine 0.93".
std::string Describe(const ViewComparison& comparison);

}  // namespace reflux
