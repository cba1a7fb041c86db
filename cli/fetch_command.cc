#include "cli/fetch_command.h"

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "cli/connection.h"
#include "cli/listed_sets.h"
#include "cli/table.h"
#include "cli/view_text.h"
#include "common/base/exit_codes.h"
#include "common/base/file.h"
#include "common/base/safetensors_writer.h"
#include "common/base/status_macros.h"
#include "common/targets/remote_source.h"
#include "common/targets/target_tensor.h"
#include "common/targets/wire.h"
#include "distill/data/image_header.h"
#include "reflux/v1/targets.grpc.pb.h"

namespace reflux {
namespace {

constexpr int64_t kMaxImageBytes = int64_t{64} << 20;  // as Sample.image allows

absl::StatusOr<TeacherIdentity> ServersTeacher(const std::string& server) {
  REFLUX_ASSIGN_OR_RETURN(const v1::TeacherInfo info,
                          Call<v1::TargetService>(server, &v1::TargetService::Stub::GetTeacherInfo,
                                                  v1::GetTeacherInfoRequest()));
  return FromProto(info.identity());
}

// The stored sets of the one teacher that is meant; none from a teacher server.
absl::StatusOr<std::pair<TeacherIdentity, std::vector<TargetSet>>> ChooseTeacher(
    const FetchFlags& flags) {
  absl::StatusOr<std::vector<TargetSet>> sets = ListSets(flags.server);
  if (!flags.set.empty()) {
    if (absl::IsUnimplemented(sets.status())) {
      return absl::InvalidArgumentError(
          absl::StrCat(flags.server, " is a teacher server, which keeps no sets: leave --set out"));
    }
    REFLUX_RETURN_IF_ERROR(sets.status());
    REFLUX_ASSIGN_OR_RETURN(std::vector<TargetSet> named, SetsNamed(*sets, flags.set));
    const TeacherIdentity teacher = named[0].teacher;
    return std::make_pair(teacher, std::move(named));
  }
  if (!sets.ok() && !absl::IsUnimplemented(sets.status())) return sets.status();
  REFLUX_ASSIGN_OR_RETURN(const TeacherIdentity teacher, ServersTeacher(flags.server));
  std::vector<TargetSet> of_teacher;
  for (const TargetSet& set : sets.ok() ? *sets : std::vector<TargetSet>()) {
    if (set.teacher == teacher) of_teacher.push_back(set);
  }
  return std::make_pair(teacher, std::move(of_teacher));
}

absl::StatusOr<Codec> ChooseCodec(const FetchFlags& flags, const TargetSpec& spec,
                                  const std::vector<TargetSet>& sets) {
  if (!flags.codec.empty()) return ParseCodec(flags.codec);
  std::set<std::string> names;
  for (const TargetSet& set : sets) {
    if (set.spec.tap == spec.tap && set.spec.reduction == spec.reduction) {
      names.insert(Name(set.spec.codec));
    }
  }
  if (names.empty()) return Codec::kFp32;  // nothing stored: the teacher is asked
  if (names.size() == 1) return ParseCodec(*names.begin());
  return absl::InvalidArgumentError(absl::StrCat(
      "tap ", flags.tap, " is stored as ", absl::StrJoin(names, " and "), ": choose with --codec"));
}

absl::StatusOr<View> ChooseView(const FetchFlags& flags, const std::string& image) {
  if (!flags.view.empty()) return ParseView(flags.view);
  REFLUX_ASSIGN_OR_RETURN(const ImageHeader size, ReadImageHeader(image));
  View view;
  view.resized_height = view.crop_height = size.height;
  view.resized_width = view.crop_width = size.width;
  return view;
}

struct Wanted {
  TargetRequest request;  // one sample, one spec
  std::string image;
};

absl::StatusOr<Wanted> Prepare(const FetchFlags& flags) {
  Wanted wanted;
  REFLUX_ASSIGN_OR_RETURN(wanted.image, ReadFile(flags.image, kMaxImageBytes));
  SampleRef sample;
  sample.digest = Sha256::Of(wanted.image);
  absl::StatusOr<View> view = ChooseView(flags, wanted.image);
  if (!view.ok()) {
    return absl::Status(view.status().code(),
                        absl::StrCat(flags.image, ": ", view.status().message()));
  }
  sample.view = *view;
  REFLUX_ASSIGN_OR_RETURN(const auto teacher_and_sets, ChooseTeacher(flags));
  const auto& [teacher, sets] = teacher_and_sets;
  REFLUX_ASSIGN_OR_RETURN(TargetSpec spec, ParseTargetName(flags.tap));
  if (ReadsLabels(spec.reduction)) {
    return absl::UnimplementedError(absl::StrCat(
        "not available in this version: fetching ", flags.tap,
        ", which depends on the image's label; reflux targets export has what is stored"));
  }
  REFLUX_ASSIGN_OR_RETURN(spec.codec, ChooseCodec(flags, spec, sets));
  sample.locator.dataset = sets.empty() ? "" : sets[0].dataset;
  sample.locator.path = flags.image.substr(flags.image.rfind('/') + 1);
  wanted.request = {teacher, {sample}, {spec}};
  REFLUX_RETURN_IF_ERROR(wanted.request.Validate());
  return wanted;
}

absl::StatusOr<EncodedTarget> Ask(const Terminal& terminal, const FetchFlags& flags,
                                  const Wanted& wanted) {
  struct Sink : TargetSink {
    absl::StatusOr<EncodedTarget> target = absl::InternalError("the server did not answer");
    void Deliver(size_t, size_t, absl::StatusOr<EncodedTarget> delivered) override {
      target = std::move(delivered);
    }
  } sink;
  RemoteSourceOptions options;
  options.endpoint = flags.server;
  options.read_image = [&wanted](const Locator&) -> absl::StatusOr<std::string> {
    return wanted.image;
  };
  FetchContext context;
  context.deadline = absl::Now() + absl::Minutes(10);
  context.cancellation = terminal.interrupted;
  REFLUX_RETURN_IF_ERROR(MakeRemoteSource(options)->Fetch(context, wanted.request, sink));
  return std::move(sink.target);
}

int Report(Terminal& terminal, const FetchFlags& flags, const TargetTensor& tensor) {
  const auto& [channels, height, width] = tensor.shape;
  if (terminal.json) {
    terminal.out << nlohmann::json{{"path", flags.output},
                                   {"tap", flags.tap},
                                   {"dtype", tensor.dtype},
                                   {"shape", tensor.shape},
                                   {"metadata", tensor.metadata}}
                        .dump()
                 << "\n";
  } else {
    terminal.out << flags.output << ": " << flags.tap << " [" << channels << ", " << height << ", "
                 << width << "] " << tensor.dtype << ", "
                 << BytesText(static_cast<int64_t>(tensor.bytes().size())) << std::endl;
  }
  return kExitDone;
}

absl::StatusOr<TargetTensor> FetchAndWrite(const Terminal& terminal, const FetchFlags& flags) {
  REFLUX_ASSIGN_OR_RETURN(const Wanted wanted, Prepare(flags));
  REFLUX_ASSIGN_OR_RETURN(const EncodedTarget target, Ask(terminal, flags, wanted));
  REFLUX_ASSIGN_OR_RETURN(TargetTensor tensor, ToTensor(target));
  const SampleRef& sample = wanted.request.samples[0];
  tensor.metadata = {{"tap", flags.tap},
                     {"codec", Name(target.codec)},
                     {"teacher", wanted.request.teacher.digest.Hex()},
                     {"image_sha256", sample.digest.Hex()},
                     {"view", ViewText(sample.view)}};
  std::vector<int64_t> shape(tensor.shape.begin(), tensor.shape.end());
  REFLUX_RETURN_IF_ERROR(WriteSafetensorsFile(
      flags.output, {{flags.tap, tensor.dtype, std::move(shape), tensor.bytes()}},
      tensor.metadata));
  return tensor;
}

}  // namespace

int FetchTarget(Terminal& terminal, const FetchFlags& flags) {
  const absl::StatusOr<TargetTensor> tensor = FetchAndWrite(terminal, flags);
  return tensor.ok() ? Report(terminal, flags, *tensor) : Fail(terminal, tensor.status());
}

}  // namespace reflux
