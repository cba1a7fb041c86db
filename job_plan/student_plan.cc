#include "job_plan/student_plan.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status_macros.h"
#include "common/spec/job_teachers.h"
#include "distill/losses/cross_entropy_loss.h"
#include "distill/losses/i2ckd_loss.h"
#include "distill/losses/icsd_loss.h"
#include "distill/losses/pixel_kd_loss.h"

namespace reflux {
namespace {

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

absl::StatusOr<LossTerm> Term(std::string name, std::shared_ptr<Loss> loss, double weight,
                              const std::string& schedule, LossKind kind) {
  if (!(weight >= 0))
    return absl::InvalidArgumentError(absl::StrCat("losses.", name, ".weight: is negative"));
  absl::StatusOr<LossSchedule> parsed = ParseLossSchedule(schedule);
  if (!parsed.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("losses.", name, ".", parsed.status().message()));
  }
  return LossTerm{.name = std::move(name),
                  .loss = std::move(loss),
                  .weight = weight,
                  .schedule = *parsed,
                  .kind = kind};
}

absl::StatusOr<LossTerm> CrossEntropyTerm(const v1::CrossEntropySpec& spec) {
  const CrossEntropyOptions options{.aux_weight = spec.aux_weight()};
  REFLUX_RETURN_IF_ERROR(options.Validate());
  return Term("ce", std::make_shared<CrossEntropyLoss>(options), spec.weight(), "constant",
              LossKind::kTask);
}

absl::StatusOr<LossTerm> KdTerm(const v1::KdSpec& spec) {
  const PixelKdOptions options{.temperature = spec.temperature(),
                               .temperature_squared = spec.temperature_squared()};
  REFLUX_RETURN_IF_ERROR(options.Validate());
  return Term("kd", std::make_shared<PixelKdLoss>(options), spec.weight(), spec.schedule(),
              LossKind::kResponse);
}

absl::StatusOr<LossTerm> IcsdTerm(const v1::IcsdSpec& spec) {
  IcsdOptions options{.temperature = spec.temperature()};
  REFLUX_ASSIGN_OR_RETURN(options.form, ParseIcsdForm(spec.form()));
  REFLUX_RETURN_IF_ERROR(options.Validate());
  return Term("icsd", std::make_shared<IcsdLoss>(options), spec.weight(), spec.schedule(),
              LossKind::kRelation);
}

absl::StatusOr<LossTerm> I2ckdTerm(const v1::I2ckdSpec& spec, const SegmentationModel& student,
                                   const TeacherInfo& teacher, uint64_t seed) {
  I2ckdOptions options{.num_classes = student.num_classes(), .tap = spec.tap(), .seed = seed};
  options.triplet.margin = spec.margin();
  REFLUX_ASSIGN_OR_RETURN(options.triplet.distance, ParsePrototypeDistance(spec.distance()));
  REFLUX_ASSIGN_OR_RETURN(options.triplet.negatives, ParsePrototypeNegatives(spec.negatives()));
  REFLUX_ASSIGN_OR_RETURN(options.triplet.anchor, ParsePrototypeAnchor(spec.anchor()));
  REFLUX_ASSIGN_OR_RETURN(options.mean, ParsePrototypeMean(spec.prototypes()));
  REFLUX_ASSIGN_OR_RETURN(options.student_channels,
                          Channels(student.taps(), spec.tap(), "student", "losses.i2ckd.tap"));
  REFLUX_ASSIGN_OR_RETURN(options.teacher_channels,
                          Channels(teacher.taps, spec.tap(), "teacher", "losses.i2ckd.tap"));
  REFLUX_RETURN_IF_ERROR(options.Validate());
  return Term("i2ckd", std::make_shared<I2ckdLoss>(options), spec.weight(), spec.schedule(),
              LossKind::kRelation);
}

}  // namespace

absl::StatusOr<ModelOptions> PlanModel(const v1::JobSpec& spec, int64_t num_classes) {
  const v1::StudentSpec& student = spec.student();
  ModelOptions options{.architecture = student.model(),
                       .num_classes = num_classes,
                       .output_stride = student.output_stride(),
                       .aspp_width = student.aspp_width()};
  options.aux = spec.losses().ce().aux_weight() > 0;
  if (student.has_dropout()) options.head_dropout = options.aspp_dropout = student.dropout();
  REFLUX_RETURN_IF_ERROR(options.Validate());
  return options;
}

absl::StatusOr<std::shared_ptr<LossSet>> PlanLosses(const v1::JobSpec& spec,
                                                    const SegmentationModel& student,
                                                    const std::optional<TeacherInfo>& teacher) {
  const v1::LossesSpec& losses = spec.losses();
  std::vector<LossTerm> terms;
  const auto add = [&terms](absl::StatusOr<LossTerm> term) -> absl::Status {
    if (term.ok()) terms.push_back(*std::move(term));
    return term.status();
  };
  if (losses.has_ce()) REFLUX_RETURN_IF_ERROR(add(CrossEntropyTerm(losses.ce())));
  if (NeedsTeacher(losses)) {
    if (!teacher.has_value())
      return absl::FailedPreconditionError("losses: no teacher to distil from");
    if (teacher->num_classes != student.num_classes()) {
      return absl::FailedPreconditionError(absl::StrCat("the teacher has ", teacher->num_classes,
                                                        " classes, the data set ",
                                                        student.num_classes()));
    }
  }
  if (losses.has_kd()) REFLUX_RETURN_IF_ERROR(add(KdTerm(losses.kd())));
  if (losses.has_i2ckd()) {
    REFLUX_RETURN_IF_ERROR(add(I2ckdTerm(losses.i2ckd(), student, *teacher, spec.train().seed())));
  }
  if (losses.has_icsd()) REFLUX_RETURN_IF_ERROR(add(IcsdTerm(losses.icsd())));
  if (terms.empty()) return absl::InvalidArgumentError("losses: there is no term");
  return std::make_shared<LossSet>(std::move(terms));
}

absl::StatusOr<int64_t> PlanSteps(const v1::TrainSpec& train, int64_t samples) {
  if (train.global_batch() < 1)
    return absl::InvalidArgumentError("train.global_batch: must be at least 1");
  if (train.steps() > 0) return train.steps();
  const auto steps = static_cast<int64_t>(
      std::ceil(train.epochs() * static_cast<double>(samples) / train.global_batch() - 1e-9));
  if (steps < 1) return absl::InvalidArgumentError("train: give steps or epochs");
  return steps;
}

SgdOptions PlanSgd(const v1::TrainSpec& train, int64_t total_steps) {
  return {.schedule = {.base_lr = train.learning_rate(),
                       .power = train.poly_power(),
                       .total_steps = total_steps},
          .momentum = train.momentum(),
          .weight_decay = train.weight_decay(),
          .head_lr_multiplier = train.head_lr_multiplier()};
}

absl::StatusOr<std::vector<TargetSpec>> PlanTargetSpecs(const v1::TargetsSpec& targets,
                                                        const LossSet& losses) {
  REFLUX_ASSIGN_OR_RETURN(const Codec codec, ParseCodec(targets.codec()));
  std::vector<TargetSpec> specs;
  for (const std::string& tap : losses.teacher_taps())
    specs.push_back({.tap = tap, .codec = codec});
  return specs;
}

}  // namespace reflux
