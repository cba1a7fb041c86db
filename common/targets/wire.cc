#include "common/targets/wire.h"

#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace reflux {
namespace {

constexpr int32_t kMaxThreadsOrBatch = 1024;
constexpr int kMaxTaps = 4096;
constexpr int kMaxChannels = 1 << 20;  // of a map, and classes
constexpr int kMaxLabelValues = 65536;

absl::StatusOr<std::array<double, 3>> ThreeValues(
    const google::protobuf::RepeatedField<double>& values, const char* field) {
  if (values.size() != 3) {
    return absl::InvalidArgumentError(absl::StrCat(field, ": three values, not ", values.size()));
  }
  std::array<double, 3> result;
  for (int i = 0; i < 3; ++i) {
    if (!std::isfinite(values[i]))
      return absl::InvalidArgumentError(absl::StrCat(field, ": not finite"));
    result[i] = values[i];
  }
  return result;
}

// A field that this version does not know may change what a target is: answering without it would
// store another target under the same request.
absl::Status RefuseUnknownFields(const google::protobuf::Message& message) {
  const auto& unknown = message.GetReflection()->GetUnknownFields(message);
  if (unknown.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(message.GetDescriptor()->name(), ": field ", unknown.field(0).number(),
                   " is not known to this version; run the same version of Reflux on both sides"));
}

absl::StatusOr<Preprocessing> FromProto(const v1::Preprocessing& message) {
  REFLUX_RETURN_IF_ERROR(RefuseUnknownFields(message));
  Preprocessing result;
  result.bgr = message.bgr();
  result.divisor = message.divisor();
  REFLUX_ASSIGN_OR_RETURN(result.mean, ThreeValues(message.mean(), "preprocessing.mean"));
  REFLUX_ASSIGN_OR_RETURN(result.deviation,
                          ThreeValues(message.deviation(), "preprocessing.deviation"));
  const bool zero = result.divisor == 0 || result.deviation[0] == 0 || result.deviation[1] == 0 ||
                    result.deviation[2] == 0;
  if (zero || !std::isfinite(result.divisor)) {
    return absl::InvalidArgumentError("preprocessing: divisor and deviation must not be zero");
  }
  return result;
}

absl::StatusOr<Numerics> FromProto(const v1::Numerics& message) {
  REFLUX_RETURN_IF_ERROR(RefuseUnknownFields(message));
  if (message.mode() != v1::NUMERICS_MODE_EXACT && message.mode() != v1::NUMERICS_MODE_FAST) {
    return absl::InvalidArgumentError("numerics.mode: unknown value");
  }
  if (message.compute() < v1::COMPUTE_DTYPE_FP32 || message.compute() > v1::COMPUTE_DTYPE_FP64) {
    return absl::InvalidArgumentError("numerics.compute: unknown value");
  }
  for (int32_t value : {message.threads(), message.batch()}) {
    if (value < 1 || value > kMaxThreadsOrBatch) {
      return absl::InvalidArgumentError(
          absl::StrCat("numerics: threads and batch must be in 1..", kMaxThreadsOrBatch));
    }
  }
  return Numerics{.mode = static_cast<NumericsMode>(message.mode()),
                  .compute = static_cast<ComputeDType>(message.compute()),
                  .tf32 = message.tf32(),
                  .threads = message.threads(),
                  .batch = message.batch(),
                  .inference_revision = message.inference_revision()};
}

absl::StatusOr<View> FromProto(const v1::View& message) {
  REFLUX_RETURN_IF_ERROR(RefuseUnknownFields(message));
  return View{.resized_height = message.resized_height(),
              .resized_width = message.resized_width(),
              .crop_y = message.crop_y(),
              .crop_x = message.crop_x(),
              .crop_height = message.crop_height(),
              .crop_width = message.crop_width(),
              .flip = message.flip(),
              .decode_shrink = message.decode_shrink() == 0 ? 1 : message.decode_shrink()};
}

absl::StatusOr<LabelFile> FromProto(v1::LabelFile&& message) {
  if (message.map().values_size() > kMaxLabelValues) {
    return absl::InvalidArgumentError("samples.label: too many values");
  }
  LabelMap map{.num_classes = message.map().num_classes(),
               .ignore_index = message.map().ignore_index()};
  for (const auto& [value, index] : message.map().values()) map.values[value] = index;
  REFLUX_RETURN_IF_ERROR(map.Validate());
  return LabelFile{.bytes = std::move(*message.mutable_bytes()),
                   .map = std::make_shared<const LabelMap>(std::move(map))};
}

v1::LabelFile ToProto(const LabelFile& label) {
  v1::LabelFile message;
  message.set_bytes(label.bytes);
  message.mutable_map()->set_num_classes(label.map->num_classes);
  message.mutable_map()->set_ignore_index(label.map->ignore_index);
  for (const auto& [value, index] : label.map->values)
    (*message.mutable_map()->mutable_values())[value] = index;
  return message;
}

absl::StatusOr<SampleRef> FromProto(v1::Sample&& message) {
  SampleRef sample;
  REFLUX_ASSIGN_OR_RETURN(sample.digest, Digest::FromBytes(message.digest()));
  REFLUX_ASSIGN_OR_RETURN(sample.view, FromProto(message.view()));
  sample.locator.dataset = std::move(*message.mutable_dataset());
  sample.locator.path = std::move(*message.mutable_path());
  if (message.image().size() + message.label().bytes().size() > kMaxImageBytes) {
    return absl::InvalidArgumentError("samples.image: over 64 MiB, with its label");
  }
  if (!message.label_digest().empty()) {
    REFLUX_ASSIGN_OR_RETURN(sample.label_digest, Digest::FromBytes(message.label_digest()));
  }
  if (message.has_label()) {
    REFLUX_ASSIGN_OR_RETURN(LabelFile label, FromProto(std::move(*message.mutable_label())));
    sample.label = std::make_shared<const LabelFile>(std::move(label));
  }
  if (!message.image().empty()) {
    sample.image = std::make_shared<const std::string>(std::move(*message.mutable_image()));
  }
  return sample;
}

absl::Status CheckCounts(const v1::FetchRequest& message) {
  if (message.samples_size() <= static_cast<int>(TargetRequest::kMaxSamples) &&
      message.specs_size() <= static_cast<int>(TargetRequest::kMaxSpecs)) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat("a request has at most ",
                                                 TargetRequest::kMaxSamples, " samples and ",
                                                 TargetRequest::kMaxSpecs, " specs"));
}

void SetSample(const SampleRef& sample, v1::Sample* message) {
  message->set_digest(sample.digest.AsBytes().data(), Digest::kSize);
  *message->mutable_view() = ToProto(sample.view);
  message->set_dataset(sample.locator.dataset);
  message->set_path(sample.locator.path);
  if (sample.image != nullptr) message->set_image(*sample.image);
  if (!sample.label_digest.empty())
    message->set_label_digest(sample.label_digest.AsBytes().data(), Digest::kSize);
  if (sample.label != nullptr) *message->mutable_label() = ToProto(*sample.label);
}

}  // namespace

v1::Preprocessing ToProto(const Preprocessing& preprocessing) {
  v1::Preprocessing message;
  message.set_bgr(preprocessing.bgr);
  message.set_divisor(preprocessing.divisor);
  for (double value : preprocessing.mean) message.add_mean(value);
  for (double value : preprocessing.deviation) message.add_deviation(value);
  return message;
}

v1::Numerics ToProto(const Numerics& numerics) {
  v1::Numerics message;
  message.set_mode(static_cast<v1::NumericsMode>(numerics.mode));
  message.set_compute(static_cast<v1::ComputeDType>(numerics.compute));
  message.set_tf32(numerics.tf32);
  message.set_threads(numerics.threads);
  message.set_batch(numerics.batch);
  message.set_inference_revision(numerics.inference_revision);
  return message;
}

v1::TeacherIdentity ToProto(const TeacherIdentity& identity) {
  v1::TeacherIdentity message;
  message.set_digest(identity.digest.AsBytes().data(), Digest::kSize);
  *message.mutable_preprocessing() = ToProto(identity.preprocessing);
  *message.mutable_numerics() = ToProto(identity.numerics);
  return message;
}

v1::View ToProto(const View& view) {
  v1::View message;
  message.set_resized_height(view.resized_height);
  message.set_resized_width(view.resized_width);
  message.set_crop_y(view.crop_y);
  message.set_crop_x(view.crop_x);
  message.set_crop_height(view.crop_height);
  message.set_crop_width(view.crop_width);
  message.set_flip(view.flip);
  if (view.decode_shrink != 1) message.set_decode_shrink(view.decode_shrink);
  return message;
}

v1::TargetSpec ToProto(const TargetSpec& spec) {
  v1::TargetSpec message;
  message.set_tap(spec.tap);
  message.set_reduction(static_cast<v1::Reduction>(spec.reduction));
  message.set_codec(static_cast<v1::Codec>(spec.codec));
  return message;
}

v1::TargetSet ToProto(const TargetSet& set) {
  v1::TargetSet message;
  message.set_id(set.DisplayName());
  message.set_dataset(set.dataset);
  *message.mutable_teacher() = ToProto(set.teacher);
  message.set_model(set.model);
  *message.mutable_spec() = ToProto(set.spec);
  return message;
}

v1::TeacherInfo ToProto(const TeacherInfo& info) {
  v1::TeacherInfo message;
  *message.mutable_identity() = ToProto(info.identity);
  message.set_model(info.model);
  message.set_num_classes(info.num_classes);
  for (const TeacherInfo::Tap& tap : info.taps) {
    v1::TeacherInfo::Tap* added = message.add_taps();
    added->set_name(tap.name);
    added->set_channels(tap.channels);
    added->set_stride(tap.stride);
  }
  message.set_images_inferred(info.images_inferred);
  message.set_miou(info.miou);
  message.set_build_version(info.build_version);
  return message;
}

v1::FetchRequest ToProto(const TargetRequest& request, Priority priority) {
  v1::FetchRequest message;
  *message.mutable_teacher() = ToProto(request.teacher);
  for (const SampleRef& sample : request.samples) SetSample(sample, message.add_samples());
  for (const TargetSpec& spec : request.specs) *message.add_specs() = ToProto(spec);
  message.set_prefill(priority == Priority::kPrefill);
  return message;
}

absl::StatusOr<TeacherIdentity> FromProto(const v1::TeacherIdentity& message) {
  REFLUX_RETURN_IF_ERROR(RefuseUnknownFields(message));
  TeacherIdentity identity;
  REFLUX_ASSIGN_OR_RETURN(identity.digest, Digest::FromBytes(message.digest()));
  REFLUX_ASSIGN_OR_RETURN(identity.preprocessing, FromProto(message.preprocessing()));
  REFLUX_ASSIGN_OR_RETURN(identity.numerics, FromProto(message.numerics()));
  return identity;
}

absl::StatusOr<TargetSpec> FromProto(const v1::TargetSpec& message) {
  REFLUX_RETURN_IF_ERROR(RefuseUnknownFields(message));
  if (!IsReduction(message.reduction())) {
    return absl::InvalidArgumentError("specs.reduction: unknown value");
  }
  if (!IsCodec(message.codec())) {
    return absl::InvalidArgumentError("specs.codec: unknown value");
  }
  return TargetSpec{.tap = message.tap(),
                    .reduction = static_cast<Reduction>(message.reduction()),
                    .codec = static_cast<Codec>(message.codec())};
}

absl::StatusOr<TargetSet> TargetSetFromProto(const v1::TargetSet& message) {
  TargetSet set;
  set.dataset = message.dataset();
  set.model = message.model();
  if (set.dataset.size() > TargetRequest::kMaxPath || set.model.size() > TargetRequest::kMaxPath) {
    return absl::InvalidArgumentError(
        absl::StrCat("set: a name over ", TargetRequest::kMaxPath, " bytes"));
  }
  REFLUX_ASSIGN_OR_RETURN(set.teacher, FromProto(message.teacher()));
  REFLUX_ASSIGN_OR_RETURN(set.spec, FromProto(message.spec()));
  if (set.spec.tap.size() > TargetRequest::kMaxTapName) {
    return absl::InvalidArgumentError(
        absl::StrCat("set: spec.tap is over ", TargetRequest::kMaxTapName, " bytes"));
  }
  return set;
}

namespace {

absl::Status CheckBounds(const v1::TeacherInfo& message) {
  const auto bad = [](absl::string_view what) {
    return absl::InvalidArgumentError(absl::StrCat("teacher info: ", what));
  };
  if (message.taps_size() > kMaxTaps) return bad("too many taps");
  for (const auto& tap : message.taps()) {
    if (tap.name().size() > TargetRequest::kMaxTapName) return bad("taps.name is too long");
    if (tap.channels() < 0 || tap.channels() > kMaxChannels) return bad("taps.channels");
    if (tap.stride() < 0 || tap.stride() > View::kMaxSide) return bad("taps.stride");
  }
  if (message.num_classes() < 0 || message.num_classes() > kMaxChannels) return bad("num_classes");
  if (message.images_inferred() < 0) return bad("images_inferred is negative");
  return message.miou() <= 100 ? absl::OkStatus() : bad("miou is over 100, or no number");
}

}  // namespace

absl::StatusOr<TeacherInfo> FromProto(const v1::TeacherInfo& message) {
  REFLUX_RETURN_IF_ERROR(CheckBounds(message));
  TeacherInfo info;
  REFLUX_ASSIGN_OR_RETURN(info.identity, FromProto(message.identity()));
  info.model = message.model();
  info.num_classes = message.num_classes();
  for (const auto& tap : message.taps()) {
    info.taps.push_back({.name = tap.name(), .channels = tap.channels(), .stride = tap.stride()});
  }
  info.images_inferred = message.images_inferred();
  info.miou = message.miou();
  info.build_version = message.build_version();
  return info;
}

absl::StatusOr<TargetRequest> FromProto(v1::FetchRequest&& message) {
  REFLUX_RETURN_IF_ERROR(CheckCounts(message));
  TargetRequest request;
  REFLUX_ASSIGN_OR_RETURN(request.teacher, FromProto(message.teacher()));
  for (v1::Sample& sample : *message.mutable_samples()) {
    REFLUX_ASSIGN_OR_RETURN(SampleRef parsed, FromProto(std::move(sample)));
    request.samples.push_back(std::move(parsed));
  }
  for (const v1::TargetSpec& spec : message.specs()) {
    REFLUX_ASSIGN_OR_RETURN(TargetSpec parsed, FromProto(spec));
    request.specs.push_back(std::move(parsed));
  }
  REFLUX_RETURN_IF_ERROR(request.Validate());
  return request;
}

absl::StatusOr<TargetRequest> FromProto(const v1::FetchRequest& message) {
  REFLUX_RETURN_IF_ERROR(CheckCounts(message));
  return FromProto(v1::FetchRequest(message));
}

}  // namespace reflux
