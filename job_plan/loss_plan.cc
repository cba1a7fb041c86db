#include "job_plan/loss_plan.h"

#include <string>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status_macros.h"
#include "common/spec/job_teachers.h"
#include "distill/losses/afdcd_loss.h"
#include "distill/losses/channel_wise_loss.h"
#include "distill/losses/cross_entropy_loss.h"
#include "distill/losses/feature_losses.h"
#include "distill/losses/i2ckd_loss.h"
#include "distill/losses/icsd_loss.h"
#include "distill/losses/pixel_kd_loss.h"
#include "distill/losses/similarity_losses.h"

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

// Height and width of a list field; `fallback` when it is empty.
absl::StatusOr<std::pair<int64_t, int64_t>> HeightWidth(
    const google::protobuf::RepeatedField<int32_t>& list, absl::string_view field,
    std::pair<int64_t, int64_t> fallback) {
  if (list.empty()) return fallback;
  if (list.size() == 2) return std::pair<int64_t, int64_t>(list[0], list[1]);
  return absl::InvalidArgumentError(
      absl::StrCat(field, ": expected [height, width], got ", list.size(), " numbers"));
}

absl::StatusOr<DenseContrastOptions> ContrastOptions(const v1::AfdcdSpec& spec) {
  DenseContrastOptions options{
      .groups = spec.groups(), .temperature = spec.temperature(), .pool = spec.pool()};
  REFLUX_ASSIGN_OR_RETURN(options.negatives, ParseContrastNegatives(spec.negatives()));
  REFLUX_ASSIGN_OR_RETURN(std::tie(options.crop_height, options.crop_width),
                          HeightWidth(spec.crop(), "losses.afdcd.crop", {0, 0}));
  REFLUX_ASSIGN_OR_RETURN(std::tie(options.patch_height, options.patch_width),
                          HeightWidth(spec.patch(), "losses.afdcd.patch", {4, 4}));
  return options;
}

absl::StatusOr<LossTerm> AfdcdTerm(const v1::AfdcdSpec& spec, const SegmentationModel& student,
                                   const TeacherInfo& teacher, uint64_t seed) {
  AfdcdOptions options{.tap = spec.tap(),
                       .mask_ratio = spec.mask_ratio(),
                       .feature_weight = spec.feature_weight(),
                       .contrast_weight = spec.contrast_weight(),
                       .seed = seed};
  REFLUX_ASSIGN_OR_RETURN(options.mask, ParseAfdcdMask(spec.mask()));
  REFLUX_ASSIGN_OR_RETURN(options.contrast, ContrastOptions(spec));
  REFLUX_ASSIGN_OR_RETURN(options.projector, ParseAfdcdProjector(spec.projector()));
  REFLUX_ASSIGN_OR_RETURN(options.student_channels,
                          Channels(student.taps(), spec.tap(), "student", "losses.afdcd.tap"));
  REFLUX_ASSIGN_OR_RETURN(options.teacher_channels,
                          Channels(teacher.taps, spec.tap(), "teacher", "losses.afdcd.tap"));
  REFLUX_RETURN_IF_ERROR(options.Validate());
  return Term("afdcd", std::make_shared<AfdcdLoss>(options), spec.weight(), spec.schedule(),
              LossKind::kRelation);
}

// What the losses on one tap are made from.
struct TapSource {
  const SegmentationModel& student;
  const TeacherInfo& teacher;
  uint64_t seed;
};

absl::StatusOr<TapLossOptions> TapOptions(const std::string& loss, const std::string& tap,
                                          const TapSource& source) {
  const std::string field = absl::StrCat("losses.", loss, ".tap");
  TapLossOptions options{.tap = tap, .seed = source.seed};
  REFLUX_ASSIGN_OR_RETURN(options.student_channels,
                          Channels(source.student.taps(), tap, "student", field));
  REFLUX_ASSIGN_OR_RETURN(options.teacher_channels,
                          Channels(source.teacher.taps, tap, "teacher", field));
  return options;
}

// A loss that is made of its validated options alone; every spec has weight and schedule.
template <typename L, typename Spec, typename Options>
absl::StatusOr<LossTerm> TapTerm(const std::string& name, const Spec& spec, const Options& options,
                                 LossKind kind) {
  REFLUX_RETURN_IF_ERROR(options.Validate());
  return Term(name, std::make_shared<L>(options), spec.weight(), spec.schedule(), kind);
}

absl::StatusOr<LossTerm> CwdTerm(const v1::CwdSpec& spec, const TapSource& source) {
  ChannelWiseOptions options{.temperature = spec.temperature(),
                             .temperature_squared = spec.temperature_squared()};
  REFLUX_ASSIGN_OR_RETURN(options.tap, TapOptions("cwd", spec.tap(), source));
  REFLUX_ASSIGN_OR_RETURN(options.norm, ParseCwdNorm(spec.norm()));
  REFLUX_ASSIGN_OR_RETURN(options.divide_by, ParseCwdDivideBy(spec.divide_by()));
  return TapTerm<ChannelWiseLoss>("cwd", spec, options, LossKind::kResponse);
}

absl::StatusOr<LossTerm> SkdTerm(const v1::SkdSpec& spec, const TapSource& source) {
  PairwiseOptions options{.pool = spec.pool()};
  REFLUX_ASSIGN_OR_RETURN(options.tap, TapOptions("skd", spec.tap(), source));
  return TapTerm<PairwiseLoss>("skd", spec, options, LossKind::kRelation);
}

absl::StatusOr<LossTerm> AttentionTransferTerm(const v1::AttentionTransferSpec& spec,
                                               const TapSource& source) {
  AttentionTransferOptions options{.power = spec.power()};
  REFLUX_ASSIGN_OR_RETURN(options.tap, TapOptions("at", spec.tap(), source));
  return TapTerm<AttentionTransferLoss>("at", spec, options, LossKind::kRelation);
}

absl::StatusOr<LossTerm> FitNetTerm(const v1::FitNetSpec& spec, const TapSource& source) {
  REFLUX_ASSIGN_OR_RETURN(const TapLossOptions options, TapOptions("fitnet", spec.tap(), source));
  REFLUX_RETURN_IF_ERROR(options.Validate("fitnet"));
  return Term("fitnet", std::make_shared<FitNetLoss>(options), spec.weight(), spec.schedule(),
              LossKind::kRelation);
}

absl::StatusOr<LossTerm> IfvdTerm(const v1::IfvdSpec& spec, const TapSource& source) {
  IfvdOptions options{.num_classes = source.student.num_classes()};
  REFLUX_ASSIGN_OR_RETURN(options.tap, TapOptions("ifvd", spec.tap(), source));
  return TapTerm<IfvdLoss>("ifvd", spec, options, LossKind::kRelation);
}

absl::StatusOr<LossTerm> CsdTerm(const v1::CategorySimilaritySpec& spec, const TapSource& source) {
  CategorySimilarityOptions options{.pool = spec.pool(), .temperature = spec.temperature()};
  REFLUX_ASSIGN_OR_RETURN(options.tap, TapOptions("csd", spec.tap(), source));
  return TapTerm<CategorySimilarityLoss>("csd", spec, options, LossKind::kRelation);
}

// Appends the terms on one tap that the job names.
absl::Status AddTapTerms(const v1::LossesSpec& losses, const TapSource& source,
                         std::vector<LossTerm>& terms) {
  const auto add = [&](bool present, auto make, const auto& spec) -> absl::Status {
    if (!present) return absl::OkStatus();
    absl::StatusOr<LossTerm> term = make(spec, source);
    if (term.ok()) terms.push_back(*std::move(term));
    return term.status();
  };
  REFLUX_RETURN_IF_ERROR(add(losses.has_cwd(), CwdTerm, losses.cwd()));
  REFLUX_RETURN_IF_ERROR(add(losses.has_skd(), SkdTerm, losses.skd()));
  REFLUX_RETURN_IF_ERROR(add(losses.has_at(), AttentionTransferTerm, losses.at()));
  REFLUX_RETURN_IF_ERROR(add(losses.has_fitnet(), FitNetTerm, losses.fitnet()));
  REFLUX_RETURN_IF_ERROR(add(losses.has_ifvd(), IfvdTerm, losses.ifvd()));
  return add(losses.has_csd(), CsdTerm, losses.csd());
}

}  // namespace

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
  if (losses.has_afdcd()) {
    REFLUX_RETURN_IF_ERROR(add(AfdcdTerm(losses.afdcd(), student, *teacher, spec.train().seed())));
  }
  if (teacher.has_value()) {
    REFLUX_RETURN_IF_ERROR(AddTapTerms(losses, {student, *teacher, spec.train().seed()}, terms));
  }
  if (terms.empty()) return absl::InvalidArgumentError("losses: there is no term");
  return std::make_shared<LossSet>(std::move(terms));
}

}  // namespace reflux
