// What the terms of the training loss are made from: shared by the files that plan them.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "common/base/status_macros.h"
#include "common/targets/target.h"
#include "distill/losses/loss_set.h"
#include "distill/models/segmentation_model.h"
#include "reflux/v1/config.pb.h"

namespace reflux {

// What a loss is made from.
struct LossSource {
  const SegmentationModel& student;
  const TeacherInfo* teacher;  // that it names; null if it reads none
  uint64_t seed;
  const v1::JobSpec& job;
};

// Channels of `tap` among `taps` ({name, channels, ...}); NotFound lists those that exist.
template <typename Taps>
absl::StatusOr<int64_t> Channels(const Taps& taps, const std::string& tap, absl::string_view whose,
                                 absl::string_view field) {
  std::vector<std::string> names;
  for (const auto& known : taps) {
    if (known.name == tap) return known.channels;
    names.push_back(known.name);
  }
  return absl::NotFoundError(absl::StrCat(field, ": the ", whose, " has no tap '", tap,
                                          "'; it has: ", absl::StrJoin(names, ", ")));
}

// InvalidArgument names the field for a weight below 0 and a schedule that does not exist.
absl::StatusOr<LossTerm> Term(std::string name, std::shared_ptr<Loss> loss, double weight,
                              const std::string& schedule, LossKind kind);

// The term of a loss that is made of its options alone; every spec has weight and schedule.
template <typename L, typename Spec, typename Options>
absl::StatusOr<LossTerm> TermOf(const std::string& name, const Spec& spec, const Options& options,
                                LossKind kind) {
  REFLUX_RETURN_IF_ERROR(options.Validate());
  return Term(name, std::make_shared<L>(options), spec.weight(), spec.schedule(), kind);
}

bool HasTap(const SegmentationModel& model, const std::string& name);

}  // namespace reflux
