#include "job_plan/self_distillation_terms.h"

#include "distill/losses/frskd_classifier_loss.h"
#include "distill/losses/frskd_loss.h"
#include "distill/losses/label_rotation.h"
#include "distill/models/image_classifier.h"

namespace reflux {
namespace {

absl::StatusOr<SelfTeacherOptions> SelfTeacherOf(const v1::FrskdSpec& spec,
                                                 const SegmentationModel& student) {
  SelfTeacherOptions options{.num_classes = student.num_classes(),
                             .width = spec.width(),
                             .layers = spec.layers(),
                             .head_width = spec.head_width()};
  for (const std::string& tap : spec.taps()) {
    REFLUX_ASSIGN_OR_RETURN(const int64_t channels,
                            Channels(student.taps(), tap, "student", "losses.frskd.taps"));
    options.channels.push_back(channels);
  }
  return options;
}

// The channels of a classifier's stages.
absl::StatusOr<std::vector<int64_t>> StagesOf(const SegmentationModel& student) {
  std::vector<int64_t> channels;
  for (const TapInfo& tap : student.taps()) {
    if (tap.name == StageTap(channels.size())) channels.push_back(tap.channels);
  }
  if (HasTap(student, StageTap(0, /*before_relu=*/true))) return channels;
  return absl::FailedPreconditionError(
      absl::StrCat("student.model: ", student.architecture(), " is no classifier of images"));
}

}  // namespace

absl::StatusOr<LossTerm> FrskdTerm(const v1::FrskdSpec& spec, const LossSource& source) {
  FrskdOptions options{.taps = {spec.taps().begin(), spec.taps().end()},
                       .alpha = spec.alpha(),
                       .beta = spec.beta(),
                       .warmup = spec.warmup(),
                       .ramp = spec.ramp(),
                       .temperature = spec.temperature(),
                       .power = spec.power(),
                       .seed = source.seed};
  REFLUX_ASSIGN_OR_RETURN(options.features, ParseFrskdFeatures(spec.features()));
  REFLUX_ASSIGN_OR_RETURN(options.margin, ParseFrskdMargin(spec.margin()));
  REFLUX_ASSIGN_OR_RETURN(options.self_teacher, SelfTeacherOf(spec, source.student));
  return TermOf<FrskdLoss>("frskd", spec, options, LossKind::kTask);
}

absl::StatusOr<LossTerm> FrskdClassifierTerm(const v1::FrskdClassifierSpec& spec,
                                             const LossSource& source) {
  FrskdClassifierOptions options{.alpha = spec.alpha(),
                                 .beta = spec.beta(),
                                 .temperature = spec.temperature(),
                                 .power = spec.power(),
                                 .sla = spec.sla(),
                                 .sla_weight = spec.sla_weight(),
                                 .seed = source.seed};
  REFLUX_ASSIGN_OR_RETURN(options.features, ParseFrskdFeatures(spec.features()));
  REFLUX_ASSIGN_OR_RETURN(options.margin, ParseFrskdMargin(spec.margin()));
  BifpnOptions& pyramid = options.self_teacher;
  REFLUX_ASSIGN_OR_RETURN(pyramid.channels, StagesOf(source.student));
  pyramid.num_classes = source.student.num_classes();
  (spec.pyramid() == "bifpn" ? pyramid.num_channels : pyramid.width) =
      spec.pyramid() == "bifpn" ? spec.channels() : spec.width();
  pyramid.repeat = spec.layers();
  pyramid.up_depth = pyramid.down_depth = spec.depth();
  return TermOf<FrskdClassifierLoss>("frskd_classifier", spec, options, LossKind::kTask);
}

absl::StatusOr<LossTerm> SlaTerm(const v1::SlaSpec& spec, const LossSource& source) {
  SlaOptions options{.num_classes = source.student.num_classes(),
                     .distillation = spec.distillation(),
                     .temperature = spec.temperature(),
                     .seed = source.seed};
  REFLUX_ASSIGN_OR_RETURN(const std::vector<int64_t> stages, StagesOf(source.student));
  options.tap = StageTap(stages.size() - 1);
  options.channels = stages.back();
  return TermOf<SlaLoss>("sla", spec, options, LossKind::kTask);
}

}  // namespace reflux
