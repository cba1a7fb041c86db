#include "job_plan/loss_plan.h"

#include <algorithm>
#include <map>
#include <string>
#include <tuple>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/spec/job_teachers.h"
#include "common/spec/loss_fields.h"
#include "distill/losses/afdcd_loss.h"
#include "distill/losses/channel_wise_loss.h"
#include "distill/losses/cross_entropy_loss.h"
#include "distill/losses/cross_image_loss.h"
#include "distill/losses/feature_losses.h"
#include "distill/losses/i2ckd_loss.h"
#include "distill/losses/icsd_loss.h"
#include "distill/losses/memory_loss.h"
#include "distill/losses/own_loss.h"
#include "distill/losses/pixel_kd_loss.h"
#include "distill/losses/similarity_losses.h"
#include "job_plan/loss_term.h"
#include "job_plan/self_distillation_terms.h"

namespace reflux {
namespace {

// Whether the teacher may reduce the map of `tap` for the loss of that name: the job wants it, the
// maps are not derived from those of whole images, and no other loss reads the whole map.
bool MayReduce(const LossSource& source, const std::string& loss, const std::string& tap) {
  if (source.job.targets().reduce() != "auto" || tap == "logits") return false;
  if (absl::StartsWith(source.job.targets().views(), "whole")) return false;
  const std::vector<LossTap> taps = TapsOfLosses(source.job.losses());
  return std::none_of(taps.begin(), taps.end(),
                      [&](const LossTap& other) { return other.loss != loss && other.tap == tap; });
}

// Sets what every loss on one tap has: the tap, its channels on both sides, the seed.
template <typename Options>
absl::Status SetTap(const std::string& loss, const std::string& tap, const LossSource& source,
                    Options& options) {
  const std::string field = absl::StrCat("losses.", loss, ".tap");
  options.tap = tap;
  options.seed = source.seed;
  REFLUX_ASSIGN_OR_RETURN(options.student_channels,
                          Channels(source.student.taps(), tap, "student", field));
  REFLUX_ASSIGN_OR_RETURN(options.teacher_channels,
                          Channels(source.teacher->taps, tap, "teacher", field));
  return absl::OkStatus();
}

// Whether both sides' maps of `tap` have the same size.
bool SameStride(const LossSource& source, const std::string& tap) {
  const auto stride = [&tap](const auto& taps) -> int64_t {
    for (const auto& known : taps) {
      if (known.name == tap) return known.stride;
    }
    return 0;
  };
  return stride(source.student.taps()) == stride(source.teacher->taps);
}

absl::StatusOr<LossTerm> CrossEntropyTerm(const v1::CrossEntropySpec& spec,
                                          const LossSource& source) {
  const CrossEntropyOptions options{
      .aux_weight = HasTap(source.student, "aux") ? spec.aux_weight() : 0,
      .align_corners = source.student.align_corners()};
  return TermOf<CrossEntropyLoss>("ce", spec, options, LossKind::kTask);
}

absl::StatusOr<LossTerm> KdTerm(const v1::KdSpec& spec, const LossSource&) {
  const PixelKdOptions options{.temperature = spec.temperature(),
                               .temperature_squared = spec.temperature_squared()};
  return TermOf<PixelKdLoss>("kd", spec, options, LossKind::kResponse);
}

absl::StatusOr<LossTerm> IcsdTerm(const v1::IcsdSpec& spec, const LossSource&) {
  IcsdOptions options{.temperature = spec.temperature()};
  REFLUX_ASSIGN_OR_RETURN(options.form, ParseIcsdForm(spec.form()));
  return TermOf<IcsdLoss>("icsd", spec, options, LossKind::kRelation);
}

absl::StatusOr<LossTerm> I2ckdTerm(const v1::I2ckdSpec& spec, const LossSource& source) {
  I2ckdOptions options{.num_classes = source.student.num_classes()};
  options.triplet.margin = spec.margin();
  REFLUX_ASSIGN_OR_RETURN(options.triplet.distance, ParsePrototypeDistance(spec.distance()));
  REFLUX_ASSIGN_OR_RETURN(options.triplet.negatives, ParsePrototypeNegatives(spec.negatives()));
  REFLUX_ASSIGN_OR_RETURN(options.triplet.anchor, ParsePrototypeAnchor(spec.anchor()));
  REFLUX_ASSIGN_OR_RETURN(options.mean, ParsePrototypeMean(spec.prototypes()));
  REFLUX_ASSIGN_OR_RETURN(options.labels, ParsePrototypeLabels(spec.labels()));
  REFLUX_RETURN_IF_ERROR(SetTap("i2ckd", spec.tap(), source, options));
  options.reduced = options.labels == I2ckdOptions::Labels::kGroundTruth &&
                    MayReduce(source, "i2ckd", spec.tap());
  return TermOf<I2ckdLoss>("i2ckd", spec, options, LossKind::kRelation);
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

absl::StatusOr<LossTerm> AfdcdTerm(const v1::AfdcdSpec& spec, const LossSource& source) {
  AfdcdOptions options{.mask_ratio = spec.mask_ratio(),
                       .feature_weight = spec.feature_weight(),
                       .contrast_weight = spec.contrast_weight()};
  REFLUX_ASSIGN_OR_RETURN(options.mask, ParseAfdcdMask(spec.mask()));
  REFLUX_ASSIGN_OR_RETURN(options.contrast, ContrastOptions(spec));
  REFLUX_ASSIGN_OR_RETURN(options.projector, ParseAfdcdProjector(spec.projector()));
  REFLUX_RETURN_IF_ERROR(SetTap("afdcd", spec.tap(), source, options));
  options.reduced = options.feature_weight == 0 && Poolable(options.contrast) &&
                    SameStride(source, spec.tap()) && MayReduce(source, "afdcd", spec.tap());
  REFLUX_ASSIGN_OR_RETURN(LossTerm term,
                          TermOf<AfdcdLoss>("afdcd", spec, options, LossKind::kRelation));
  term.clip = spec.clip();
  return term;
}

absl::StatusOr<LossTerm> CwdTerm(const v1::CwdSpec& spec, const LossSource& source) {
  ChannelWiseOptions options{.temperature = spec.temperature(),
                             .temperature_squared = spec.temperature_squared()};
  REFLUX_ASSIGN_OR_RETURN(options.norm, ParseCwdNorm(spec.norm()));
  REFLUX_ASSIGN_OR_RETURN(options.divide_by, ParseCwdDivideBy(spec.divide_by()));
  REFLUX_RETURN_IF_ERROR(SetTap("cwd", spec.tap(), source, options.tap));
  return TermOf<ChannelWiseLoss>("cwd", spec, options, LossKind::kResponse);
}

absl::StatusOr<LossTerm> SkdTerm(const v1::SkdSpec& spec, const LossSource& source) {
  PairwiseOptions options{.pool = spec.pool(),
                          .pool_fraction = spec.pool_fraction(),
                          .constant_norm = spec.constant_norm()};
  REFLUX_RETURN_IF_ERROR(SetTap("skd", spec.tap(), source, options.tap));
  return TermOf<PairwiseLoss>("skd", spec, options, LossKind::kRelation);
}

absl::StatusOr<LossTerm> AttentionTransferTerm(const v1::AttentionTransferSpec& spec,
                                               const LossSource& source) {
  AttentionTransferOptions options{.power = spec.power()};
  REFLUX_RETURN_IF_ERROR(SetTap("at", spec.tap(), source, options.tap));
  return TermOf<AttentionTransferLoss>("at", spec, options, LossKind::kRelation);
}

absl::StatusOr<LossTerm> FitNetTerm(const v1::FitNetSpec& spec, const LossSource& source) {
  TapLossOptions options;
  REFLUX_RETURN_IF_ERROR(SetTap("fitnet", spec.tap(), source, options));
  REFLUX_RETURN_IF_ERROR(options.Validate("fitnet"));
  return Term("fitnet", std::make_shared<FitNetLoss>(options), spec.weight(), spec.schedule(),
              LossKind::kRelation);
}

absl::StatusOr<LossTerm> IfvdTerm(const v1::IfvdSpec& spec, const LossSource& source) {
  IfvdOptions options{.num_classes = source.student.num_classes()};
  REFLUX_RETURN_IF_ERROR(SetTap("ifvd", spec.tap(), source, options.tap));
  return TermOf<IfvdLoss>("ifvd", spec, options, LossKind::kRelation);
}

absl::StatusOr<LossTerm> CsdTerm(const v1::CategorySimilaritySpec& spec, const LossSource& source) {
  CategorySimilarityOptions options{.pool = spec.pool(), .temperature = spec.temperature()};
  REFLUX_RETURN_IF_ERROR(SetTap("csd", spec.tap(), source, options.tap));
  return TermOf<CategorySimilarityLoss>("csd", spec, options, LossKind::kRelation);
}

absl::StatusOr<LossTerm> CirkdTerm(const v1::CrossImageSpec& spec, const LossSource& source) {
  CrossImageOptions options{.temperature = spec.temperature(), .pool = spec.pool()};
  REFLUX_RETURN_IF_ERROR(SetTap("cirkd", spec.tap(), source, options.tap));
  return TermOf<CrossImageLoss>("cirkd", spec, options, LossKind::kRelation);
}

absl::StatusOr<LossTerm> MemoryTerm(const v1::MemorySpec& spec, const LossSource& source) {
  MemoryOptions options{.num_classes = source.student.num_classes(),
                        .temperature = spec.temperature(),
                        .kd_temperature = spec.kd_temperature(),
                        .pixel_queue = spec.pixel_queue(),
                        .region_queue = spec.region_queue(),
                        .pixel_samples = spec.pixel_samples(),
                        .region_samples = spec.region_samples(),
                        .pixels_per_image = spec.pixels_per_image(),
                        .pixel_weight = spec.pixel_weight(),
                        .region_weight = spec.region_weight()};
  REFLUX_RETURN_IF_ERROR(SetTap("cirkd_memory", spec.tap(), source, options.tap));
  return TermOf<MemoryLoss>("cirkd_memory", spec, options, LossKind::kRelation);
}

absl::StatusOr<LossTerm> OwnTerm(const std::string& name, const v1::OwnLossSpec& spec,
                                 const LossSource& source) {
  OwnLossInput input{.num_classes = source.student.num_classes()};
  REFLUX_RETURN_IF_ERROR(SetTap(absl::StrCat("own.", name), spec.tap(), source, input.tap));
  REFLUX_ASSIGN_OR_RETURN(
      std::shared_ptr<Loss> loss,
      MakeOwnLoss(name, std::move(input), {spec.options().begin(), spec.options().end()}));
  return Term(absl::StrCat("own_", name), std::move(loss), spec.weight(), spec.schedule(),
              OwnLosses().at(name).kind);
}

// What the loss calls its teacher in the job's map; empty if it reads none.
template <typename Spec>
std::string TeacherOf(const v1::JobSpec& job, const Spec& spec) {
  if constexpr (requires { spec.teacher(); }) {
    return TeacherNamed(job, spec.teacher());
  } else {
    return "";
  }
}

// The terms that the job names, in the order of their fields.
absl::StatusOr<std::vector<LossTerm>> Terms(const v1::JobSpec& job, const TeacherInfos& teachers,
                                            LossSource source) {
  const v1::LossesSpec& losses = job.losses();
  std::vector<LossTerm> terms;
  const auto add = [&](bool present, auto make, const auto& spec) -> absl::Status {
    if (!present) return absl::OkStatus();
    const std::string teacher = TeacherOf(job, spec);
    source.teacher = teacher.empty() ? nullptr : &teachers.at(teacher);
    absl::StatusOr<LossTerm> term = make(spec, source);
    if (!term.ok()) return term.status();
    term->teacher = teacher;
    terms.push_back(*std::move(term));
    return absl::OkStatus();
  };
  REFLUX_RETURN_IF_ERROR(add(losses.has_ce(), CrossEntropyTerm, losses.ce()));
  REFLUX_RETURN_IF_ERROR(add(losses.has_kd(), KdTerm, losses.kd()));
  REFLUX_RETURN_IF_ERROR(add(losses.has_i2ckd(), I2ckdTerm, losses.i2ckd()));
  REFLUX_RETURN_IF_ERROR(add(losses.has_icsd(), IcsdTerm, losses.icsd()));
  REFLUX_RETURN_IF_ERROR(add(losses.has_afdcd(), AfdcdTerm, losses.afdcd()));
  REFLUX_RETURN_IF_ERROR(add(losses.has_cwd(), CwdTerm, losses.cwd()));
  REFLUX_RETURN_IF_ERROR(add(losses.has_skd(), SkdTerm, losses.skd()));
  REFLUX_RETURN_IF_ERROR(add(losses.has_at(), AttentionTransferTerm, losses.at()));
  REFLUX_RETURN_IF_ERROR(add(losses.has_fitnet(), FitNetTerm, losses.fitnet()));
  REFLUX_RETURN_IF_ERROR(add(losses.has_ifvd(), IfvdTerm, losses.ifvd()));
  REFLUX_RETURN_IF_ERROR(add(losses.has_csd(), CsdTerm, losses.csd()));
  REFLUX_RETURN_IF_ERROR(add(losses.has_cirkd(), CirkdTerm, losses.cirkd()));
  REFLUX_RETURN_IF_ERROR(add(losses.has_cirkd_memory(), MemoryTerm, losses.cirkd_memory()));
  REFLUX_RETURN_IF_ERROR(add(losses.has_frskd(), FrskdTerm, losses.frskd()));
  const std::map<std::string, v1::OwnLossSpec> own(losses.own().begin(), losses.own().end());
  for (const auto& [name, spec] : own) {
    const auto make = [&name](const v1::OwnLossSpec& own_spec, const LossSource& own_source) {
      return OwnTerm(name, own_spec, own_source);
    };
    REFLUX_RETURN_IF_ERROR(add(true, make, spec));
  }
  REFLUX_RETURN_IF_ERROR(
      add(losses.has_frskd_classifier(), FrskdClassifierTerm, losses.frskd_classifier()));
  REFLUX_RETURN_IF_ERROR(add(losses.has_sla(), SlaTerm, losses.sla()));
  return terms;
}

// "the teacher `default` (/ckpt/r101.safetensors)"; an ensemble has no checkpoint.
std::string DescribeTeacher(const v1::JobSpec& job, const std::string& name) {
  const auto spec = job.teachers().find(name);
  const bool known = spec != job.teachers().end() && !spec->second.checkpoint().empty();
  return absl::StrCat("the teacher `", name, "`",
                      known ? absl::StrCat(" (", spec->second.checkpoint(), ")") : "");
}

absl::Status CheckTeachers(const v1::JobSpec& job, const SegmentationModel& student,
                           const TeacherInfos& teachers) {
  for (const auto& [loss, named] : TeachersOfLosses(job.losses())) {
    const auto teacher = teachers.find(TeacherNamed(job, named));
    if (teacher == teachers.end()) {
      return absl::FailedPreconditionError(
          absl::StrCat("losses.", loss, ": no teacher to distil from"));
    }
    if (teacher->second.num_classes == student.num_classes()) continue;
    return absl::FailedPreconditionError(absl::StrCat(
        "losses.", loss, ": ", DescribeTeacher(job, teacher->first), " has ",
        teacher->second.num_classes, " classes, the data set ", student.num_classes()));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::shared_ptr<LossSet>> PlanLosses(const v1::JobSpec& spec,
                                                    const SegmentationModel& student,
                                                    const TeacherInfos& teachers) {
  REFLUX_RETURN_IF_ERROR(CheckTeachers(spec, student, teachers));
  const LossSource source{
      .student = student, .teacher = nullptr, .seed = spec.train().seed(), .job = spec};
  REFLUX_ASSIGN_OR_RETURN(std::vector<LossTerm> terms, Terms(spec, teachers, source));
  if (terms.empty()) return absl::InvalidArgumentError("losses: there is no term");
  return std::make_shared<LossSet>(std::move(terms));
}

}  // namespace reflux
