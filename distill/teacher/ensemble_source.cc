#include "distill/teacher/ensemble_source.h"

#include <torch/types.h>

#include <bit>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status_macros.h"
#include "distill/codec/target_codec.h"
#include "distill/teacher/teacher_errors.h"

namespace reflux {
namespace {

constexpr char kTag[] = "reflux-ensemble-mean-1";

void AppendDouble(double value, std::string& bytes) {
  const auto bits = std::bit_cast<uint64_t>(value);
  for (int i = 0; i < 8; ++i) bytes.push_back(static_cast<char>(bits >> (8 * i)));
}

// Adds each map of one member to the sums of its sample.
class Summing : public TargetSink {
 public:
  explicit Summing(std::vector<absl::StatusOr<torch::Tensor>>& sums) : sums_(sums) {}

  void Deliver(size_t sample, size_t, absl::StatusOr<EncodedTarget> target) override {
    absl::StatusOr<torch::Tensor>& sum = sums_[sample];
    if (!sum.ok()) return;
    const absl::Status status =
        target.ok() ? CatchTeacherErrors("ensemble", [&] { return Add(*target, *sum); })
                    : target.status();
    if (!status.ok()) sum = status;
  }

 private:
  static absl::Status Add(const EncodedTarget& target, torch::Tensor& sum) {
    torch::Tensor map = torch::empty({target.shape[0], target.shape[1], target.shape[2]});
    REFLUX_RETURN_IF_ERROR(DecodeMapInto(target, map));
    if (!sum.defined()) {
      sum = map;
    } else if (sum.sizes() != map.sizes()) {
      return absl::FailedPreconditionError(
          absl::StrCat("ensemble: logits of [", absl::StrJoin(sum.sizes(), ", "), "] and [",
                       absl::StrJoin(map.sizes(), ", "), "]: the members' strides differ"));
    } else {
      sum.add_(map);
    }
    return absl::OkStatus();
  }

  std::vector<absl::StatusOr<torch::Tensor>>& sums_;
};

class EnsembleSource : public TargetSource {
 public:
  EnsembleSource(std::vector<std::unique_ptr<TargetSource>> members,
                 std::vector<TeacherIdentity> identities, TeacherInfo info)
      : members_(std::move(members)), identities_(std::move(identities)), info_(std::move(info)) {}

  absl::Status Fetch(const FetchContext& context, const TargetRequest& request,
                     TargetSink& sink) override;

  // images_inferred: an image counts once for each member.
  absl::StatusOr<TeacherInfo> GetTeacherInfo(const FetchContext& context) override {
    TeacherInfo info = info_;
    info.images_inferred = 0;
    for (const auto& member : members_) {
      REFLUX_ASSIGN_OR_RETURN(const TeacherInfo part, member->GetTeacherInfo(context));
      info.images_inferred += part.images_inferred;
    }
    return info;
  }

 private:
  absl::Status Check(const TargetRequest& request) const;

  const std::vector<std::unique_ptr<TargetSource>> members_;
  const std::vector<TeacherIdentity> identities_;
  const TeacherInfo info_;
};

absl::Status EnsembleSource::Check(const TargetRequest& request) const {
  REFLUX_RETURN_IF_ERROR(request.Validate());
  if (request.teacher != info_.identity) {
    return absl::FailedPreconditionError(
        absl::StrCat("this is another teacher than the request wants: ",
                     DescribeDifference(info_.identity, request.teacher)));
  }
  for (const TargetSpec& spec : request.specs) {
    if (spec.tap != "logits") {
      return absl::NotFoundError(
          absl::StrCat("an ensemble has no tap '", spec.tap, "'; it has: logits"));
    }
    if (spec.reduction != Reduction::kNone) {
      return absl::InvalidArgumentError("an ensemble's logits are not reduced");
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<EncodedTarget> EncodeMean(const absl::StatusOr<torch::Tensor>& sum, double members,
                                         Codec codec) {
  if (!sum.ok()) return sum.status();
  return CatchTeacherErrors("encoding", [&] { return EncodeMap(*sum / members, codec); });
}

absl::Status EnsembleSource::Fetch(const FetchContext& context, const TargetRequest& request,
                                   TargetSink& sink) {
  REFLUX_RETURN_IF_ERROR(Check(request));
  std::vector<absl::StatusOr<torch::Tensor>> sums(request.samples.size(), torch::Tensor());
  Summing summing(sums);
  for (size_t i = 0; i < members_.size(); ++i) {
    const TargetRequest of_member{.teacher = identities_[i],
                                  .samples = request.samples,
                                  .specs = {{.tap = "logits", .codec = Codec::kFp32}}};
    REFLUX_RETURN_IF_ERROR(members_[i]->Fetch(context, of_member, summing));
  }
  const auto members = static_cast<double>(members_.size());
  for (size_t sample = 0; sample < sums.size(); ++sample) {
    for (size_t spec = 0; spec < request.specs.size(); ++spec) {
      sink.Deliver(sample, spec, EncodeMean(sums[sample], members, request.specs[spec].codec));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckAlike(const TeacherInfo& a, const TeacherInfo& b) {
  if (a.num_classes != b.num_classes) {
    return absl::InvalidArgumentError(
        absl::StrCat("ensemble: members of ", a.num_classes, " and ", b.num_classes, " classes"));
  }
  if (a.identity.numerics == b.identity.numerics) return absl::OkStatus();
  return absl::InvalidArgumentError("ensemble: members of different numerics");
}

}  // namespace

Digest EnsembleDigest(const std::vector<TeacherIdentity>& members) {
  std::string bytes = absl::StrCat("\x01", kTag);
  for (const TeacherIdentity& member : members) {
    absl::StrAppend(&bytes, "\x02", member.digest.AsBytes(), "\x03");
    AppendDouble(member.preprocessing.bgr ? 1 : 0, bytes);
    AppendDouble(member.preprocessing.divisor, bytes);
    for (double value : member.preprocessing.mean) AppendDouble(value, bytes);
    for (double value : member.preprocessing.deviation) AppendDouble(value, bytes);
  }
  return Sha256::Of(bytes);
}

absl::StatusOr<std::unique_ptr<TargetSource>> MakeEnsembleSource(
    std::vector<std::unique_ptr<TargetSource>> members) {
  if (members.size() < 2) return absl::InvalidArgumentError("ensemble: needs two members");
  std::vector<TeacherIdentity> identities;
  std::vector<std::string> models;
  TeacherInfo info;
  for (const auto& member : members) {
    REFLUX_ASSIGN_OR_RETURN(const TeacherInfo part, member->GetTeacherInfo({}));
    if (identities.empty()) info = part;
    REFLUX_RETURN_IF_ERROR(CheckAlike(info, part));
    if (part.miou < info.miou) info.miou = part.miou;
    identities.push_back(part.identity);
    models.push_back(part.model);
  }
  std::erase_if(info.taps, [](const TeacherInfo::Tap& tap) { return tap.name != "logits"; });
  info.model = absl::StrCat("mean(", absl::StrJoin(models, ","), ")");
  info.identity = {.digest = EnsembleDigest(identities),
                   .preprocessing = {},
                   .numerics = identities[0].numerics};
  return std::make_unique<EnsembleSource>(std::move(members), std::move(identities),
                                          std::move(info));
}

}  // namespace reflux
