#include "job_plan/view_notes.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "common/targets/target_key.h"

namespace reflux {
namespace {

std::string ViewsText(const ViewComparisonOptions& options) {
  const ViewPolicy& policy = options.policy;
  return absl::StrCat("whole ", policy.whole_height, "x", policy.whole_width, ", crop ",
                      policy.crop_height, "x", policy.crop_width, ", scale ", policy.min_scale,
                      "..", policy.max_scale, policy.flip ? ", flip" : "", ", ", Name(options.kind),
                      ", seed ", options.view_seed);
}

bool Sensible(double value) { return std::isfinite(value) && std::abs(value) < 1e6; }

}  // namespace

std::string ViewNoteName(const TeacherIdentity& teacher, const std::string& dataset,
                         const ViewComparisonOptions& options,
                         const std::vector<Digest>& compared) {
  Sha256 sha;
  for (const TargetSpec& spec : options.specs) {
    const TargetSet set{.dataset = dataset, .teacher = teacher, .spec = spec};
    sha.Update(MakeTargetSetId(set).digest.AsBytes());
  }
  sha.Update(absl::StrCat(ViewsText(options), ", ", options.views, " views\n"));
  for (const Digest& digest : compared) sha.Update(digest.AsBytes());
  return absl::StrCat("view_comparison/", sha.Finish().Hex());
}

std::string EncodeViewNote(const ViewComparison& comparison, const std::string& dataset,
                           const ViewComparisonOptions& options, absl::Time measured) {
  v1::ViewComparison message;
  message.set_dataset(dataset);
  message.set_views(ViewsText(options));
  message.set_live_miou(comparison.live_miou);
  message.set_derived_miou(comparison.derived_miou);
  message.set_images(comparison.images);
  message.set_compared(comparison.views);
  message.set_measured_unix_seconds(absl::ToUnixSeconds(measured));
  for (const TapDifference& tap : comparison.taps) {
    v1::ViewComparison::Tap* added = message.add_taps();
    added->set_tap(tap.tap);
    added->set_positions(tap.positions);
    added->set_cosine(tap.cosine);
    added->set_kl(tap.kl);
    added->set_agreement(tap.agreement);
  }
  return message.SerializeAsString();
}

absl::StatusOr<ViewComparison> DecodeViewNote(absl::string_view bytes) {
  v1::ViewComparison message;
  bool sensible = message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())) &&
                  Sensible(message.live_miou()) && Sensible(message.derived_miou()) &&
                  message.images() > 0 && message.compared() > 0 && message.taps_size() > 0;
  ViewComparison comparison{.live_miou = message.live_miou(),
                            .derived_miou = message.derived_miou(),
                            .images = message.images(),
                            .views = message.compared()};
  for (const v1::ViewComparison::Tap& tap : message.taps()) {
    sensible =
        sensible && Sensible(tap.cosine()) && Sensible(tap.kl()) && Sensible(tap.agreement());
    comparison.taps.push_back({.tap = tap.tap(),
                               .positions = tap.positions(),
                               .cosine = tap.cosine(),
                               .kl = tap.kl(),
                               .agreement = tap.agreement()});
  }
  if (!sensible) return absl::DataLossError("view comparison: the note is damaged");
  return comparison;
}

}  // namespace reflux
