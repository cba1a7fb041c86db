#include "job_plan/view_plan.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/targets/codec.h"

namespace reflux {
namespace {

using Kind = ViewChoice::Kind;

constexpr int64_t kMostReplayed = 16;
constexpr double kShareOfDisk = 0.8;
constexpr double kMostDraws = 1e9;  // so that rounding up stays within int64

std::string MiB(int64_t bytes) {
  return absl::StrFormat("%.1f MiB", static_cast<double>(bytes) / (1 << 20));
}

int64_t WantedViews(const ViewFacts& facts) {
  const auto draws = static_cast<int64_t>(std::ceil(std::min(facts.draws, kMostDraws)));
  return std::clamp<int64_t>(draws, 1, kMostReplayed);
}

// Views an image that fit, of `bytes` each.
int64_t Fitting(const ViewFacts& facts, int64_t bytes) {
  if (facts.free_bytes < 0) return kMaxReplayedViews;
  const int64_t one = std::max<int64_t>(1, bytes * facts.images);
  return static_cast<int64_t>(kShareOfDisk * static_cast<double>(facts.free_bytes)) / one;
}

std::string WholeFigures(const ViewFacts& facts, const ViewComparison& comparison) {
  return absl::StrFormat("%s; the teacher loses %.1f points, %.1f are allowed",
                         Describe(comparison), comparison.loss(), facts.tolerance);
}

ViewDecision ChooseReplay(const ViewFacts& facts, const std::string& why_not_whole) {
  const int64_t wanted = WantedViews(facts);
  const int64_t views = std::min(wanted, Fitting(facts, facts.bytes_of_view));
  if (views < 1) {
    return {{.kind = Kind::kLive},
            absl::StrCat(why_not_whole, "; one view of each image takes ",
                         MiB(facts.bytes_of_view * facts.images), ", and ", MiB(facts.free_bytes),
                         " are free: nothing is stored")};
  }
  return {{.kind = Kind::kReplay, .replay = views},
          absl::StrCat(why_not_whole, "; ", views, " views of each image take ",
                       MiB(views * facts.bytes_of_view * facts.images),
                       views < wanted ? ", more do not fit" : "")};
}

}  // namespace

ViewDecision ChooseViews(const ViewFacts& facts, const absl::StatusOr<ViewComparison>& whole) {
  if (!facts.cached) return {{.kind = Kind::kLive}, "the job keeps no targets"};
  if (facts.draws < 2) {
    return {{.kind = Kind::kLive},
            absl::StrFormat("each image is drawn %.1f times: nothing would be read twice",
                            facts.draws)};
  }
  if (!whole.ok()) {
    return ChooseReplay(facts, absl::StrCat("maps cannot be derived from whole images (",
                                            whole.status().message(), ")"));
  }
  if (!CheckWhole(facts, *whole).ok()) return ChooseReplay(facts, WholeFigures(facts, *whole));
  if (Fitting(facts, facts.bytes_of_whole) < 1)
    return ChooseReplay(facts, "maps of whole images do not fit");
  return {{.kind = Kind::kWhole},
          absl::StrCat("one map of each image takes ", MiB(facts.bytes_of_whole * facts.images),
                       "; ", WholeFigures(facts, *whole))};
}

absl::Status CheckWhole(const ViewFacts& facts, const ViewComparison& comparison) {
  if (comparison.loss() <= facts.tolerance) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("targets.views: whole: ", WholeFigures(facts, comparison),
                   " (targets.whole_tolerance). `replay: ", WantedViews(facts),
                   "` would do: its maps are the teacher's own"));
}

int64_t BytesOfView(const std::vector<TargetSpec>& specs, const TeacherInfo& teacher,
                    int32_t height, int32_t width) {
  int64_t bytes = 0;
  for (const TargetSpec& spec : specs) {
    for (const TeacherInfo::Tap& tap : teacher.taps) {
      if (tap.name != spec.tap || tap.stride < 1) continue;
      const int32_t window = std::max(1, MaxPoolWindow(spec.reduction));
      std::array<int32_t, 3> shape = {tap.channels,
                                      std::max(1, ((height - 1) / tap.stride + 1) / window),
                                      std::max(1, ((width - 1) / tap.stride + 1) / window)};
      if (spec.reduction == Reduction::kClassSums)
        shape = {tap.channels + 1, teacher.num_classes, 1};
      bytes += MaxValueBytes(spec.codec, shape);
    }
  }
  return bytes;
}

}  // namespace reflux
