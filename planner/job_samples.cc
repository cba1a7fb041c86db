#include "planner/job_samples.h"

#include <algorithm>
#include <set>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "distill/data/sample_stream.h"
#include "distill/data/view.h"
#include "job_plan/data_plan.h"

namespace reflux {

namespace {

// What the teacher is asked of an image when the student takes view `number`.
View AskedView(const ViewPolicy& policy, uint64_t view_seed, const ImageFacts& image,
               int64_t number) {
  if (policy.whole) return WholeViewOf(policy, image.height, image.width);
  return DrawView(policy, view_seed, image.digest, image.height, image.width, number);
}

}  // namespace

absl::StatusOr<std::vector<SampleRef>> ListJobSamples(const v1::JobSpec& spec,
                                                      const Dataset& dataset,
                                                      const std::vector<ImageFacts>& facts,
                                                      int64_t steps,
                                                      const std::vector<Digest>& labels) {
  REFLUX_ASSIGN_OR_RETURN(const ViewPolicy policy, PlanViews(spec));
  if (policy.automatic) {
    return absl::FailedPreconditionError(
        "targets.views is auto, which is chosen when the job starts: add --set targets.views=whole "
        "or --set \"targets.views='replay: K'\"");
  }
  std::vector<SampleRef> samples;
  if (policy.replay == 0 && !policy.whole) return samples;
  const SampleStreamOptions options{.samples = static_cast<int64_t>(facts.size()),
                                    .global_batch = spec.train().global_batch(),
                                    .replay = std::max<int64_t>(1, policy.replay),
                                    .seed = spec.train().seed()};
  REFLUX_RETURN_IF_ERROR(options.Validate());
  const SampleStream stream(options);
  // After so many epochs every image has shown all its views.
  const int64_t all = options.samples * (policy.whole ? 1 : policy.replay);
  const int64_t last_step =
      std::min(steps, (all + options.global_batch - 1) / options.global_batch);
  // Two images or two views may be the same.
  std::set<std::tuple<Digest, View, Digest>> seen;
  for (int64_t step = 0; step < last_step; ++step) {
    for (const Draw& draw : stream.Draws(step, 0, 1)) {
      const ImageFacts& image = facts[draw.sample];
      const Locator& locator = dataset.samples()[draw.sample].image;
      if (image.height == 0) {
        return absl::DataLossError(absl::StrCat(locator.path, ": no image that can be read"));
      }
      const View view = AskedView(policy, spec.data().view_seed(), image, draw.view);
      const Digest label = labels.empty() ? Digest() : labels[draw.sample];
      if (!seen.emplace(image.digest, view, label).second) continue;
      samples.push_back(
          {.digest = image.digest, .view = view, .locator = locator, .label_digest = label});
    }
  }
  return samples;
}

}  // namespace reflux
