#include "common/targets/target.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status_macros.h"
#include "common/targets/target_form.h"
#include "common/targets/xxh3.h"

namespace reflux {
namespace {

constexpr char kSampleNeededUrl[] = "reflux.v1.SampleNeeded";

// As network input 800 MB: what a server takes for one sample.
constexpr int64_t kMaxViewPixels = int64_t{1} << 26;

}  // namespace

absl::Status View::Validate() const {
  const auto side_ok = [](int32_t side) { return side > 0 && side <= kMaxSide; };
  if (!side_ok(resized_height) || !side_ok(resized_width) || !side_ok(crop_height) ||
      !side_ok(crop_width)) {
    return absl::InvalidArgumentError(
        absl::StrCat("view: sides must be in 1..", kMaxSide, " pixels"));
  }
  for (const auto& [height, width] :
       {std::pair(resized_height, resized_width), std::pair(crop_height, crop_width)}) {
    if (int64_t{height} * width <= kMaxViewPixels) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("view: ", height, "x", width, " is over ", kMaxViewPixels, " pixels"));
  }
  if (crop_y <= -crop_height || crop_x <= -crop_width || crop_y >= resized_height ||
      crop_x >= resized_width) {
    return absl::InvalidArgumentError("view: the crop must cover a part of the resized image");
  }
  if (decode_shrink != 1 && decode_shrink != 2 && decode_shrink != 4 && decode_shrink != 8) {
    return absl::InvalidArgumentError(
        absl::StrCat("view: decode_shrink is ", decode_shrink, ", not 1, 2, 4 or 8"));
  }
  return absl::OkStatus();
}

int32_t ShrinkFor(double scale) {
  int32_t shrink = 8;
  while (shrink > 1 && shrink * scale > 1) shrink /= 2;
  return shrink;
}

std::string DescribeDifference(const TeacherIdentity& is, const TeacherIdentity& wanted) {
  std::vector<std::string> parts;
  const auto compare = [&](absl::string_view field, const auto& a, const auto& b) {
    if (a != b) parts.push_back(absl::StrCat(field, " ", a, " instead of ", b));
  };
  compare("digest", is.digest.Short(), wanted.digest.Short());
  if (is.preprocessing != wanted.preprocessing) {
    parts.push_back(is.preprocessing.bgr == wanted.preprocessing.bgr
                        ? "another preprocessing"
                        : "another preprocessing (order of colours)");
  }
  const Numerics &a = is.numerics, &b = wanted.numerics;
  compare("numerics.mode", static_cast<int>(a.mode), static_cast<int>(b.mode));
  compare("numerics.compute", static_cast<int>(a.compute), static_cast<int>(b.compute));
  compare("numerics.tf32", a.tf32, b.tf32);
  compare("numerics.threads", a.threads, b.threads);
  compare("numerics.batch", a.batch, b.batch);
  compare("numerics.inference_revision", a.inference_revision, b.inference_revision);
  return absl::StrJoin(parts, ", ");
}

absl::Status TargetRequest::Validate() const {
  if (samples.empty() || samples.size() > kMaxSamples) {
    return absl::InvalidArgumentError(
        absl::StrCat("samples: a request has 1..", kMaxSamples, ", not ", samples.size()));
  }
  if (specs.empty() || specs.size() > kMaxSpecs) {
    return absl::InvalidArgumentError(
        absl::StrCat("specs: a request has 1..", kMaxSpecs, ", not ", specs.size()));
  }
  bool labels = false;
  for (const TargetSpec& spec : specs) {
    if (spec.tap.empty() || spec.tap.size() > kMaxTapName) {
      return absl::InvalidArgumentError(absl::StrCat("specs.tap: 1..", kMaxTapName, " bytes"));
    }
    labels = labels || ReadsLabels(spec.reduction);
  }
  for (const SampleRef& sample : samples) {
    REFLUX_RETURN_IF_ERROR(sample.view.Validate());
    if (sample.locator.path.size() > kMaxPath || sample.locator.dataset.size() > kMaxPath) {
      return absl::InvalidArgumentError(absl::StrCat("samples.locator: over ", kMaxPath, " bytes"));
    }
    if (labels && sample.label_digest.empty()) {
      return absl::InvalidArgumentError(
          "samples.label_digest: missing, and a reduction reads the label");
    }
  }
  return absl::OkStatus();
}

std::string TargetName(absl::string_view tap, Reduction reduction) {
  if (reduction == Reduction::kNone) return std::string(tap);
  return absl::StrCat(tap, "|", Name(reduction));
}

std::string TargetSpec::name() const { return TargetName(tap, reduction); }

absl::StatusOr<TargetSpec> ParseTargetName(absl::string_view name) {
  const size_t bar = name.find('|');
  TargetSpec spec{.tap = std::string(name.substr(0, bar))};
  if (bar != absl::string_view::npos) {
    REFLUX_ASSIGN_OR_RETURN(spec.reduction, ParseReduction(name.substr(bar + 1)));
  }
  return spec;
}

uint64_t TargetChecksum(absl::string_view bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

EncodedTarget EncodedTarget::FromBytes(std::string bytes, DType dtype, Codec codec,
                                       std::array<int32_t, 3> shape) {
  auto owner = std::make_shared<const std::string>(std::move(bytes));
  EncodedTarget target{.bytes = *owner,
                       .owner = owner,
                       .dtype = dtype,
                       .codec = codec,
                       .shape = shape,
                       .checksum = TargetChecksum(*owner)};
  return target;
}

absl::Status EncodedTarget::Verify() const { return VerifyAgainst(TargetChecksum(bytes)); }

absl::Status EncodedTarget::VerifyAgainst(uint64_t computed) const {
  REFLUX_RETURN_IF_ERROR(CheckForm(*this, static_cast<int64_t>(bytes.size())));
  if (computed != checksum) return absl::DataLossError("target: wrong checksum");
  return absl::OkStatus();
}

absl::Status SampleNeededError(const SampleRef& sample) {
  absl::Status status = absl::FailedPreconditionError(
      absl::StrCat("the image ", sample.locator.path, " (", sample.digest.Short(),
                   ") is not here: send its bytes"));
  status.SetPayload(kSampleNeededUrl, absl::Cord(sample.digest.AsBytes()));
  return status;
}

bool IsSampleNeeded(const absl::Status& status) {
  return status.GetPayload(kSampleNeededUrl).has_value();
}

absl::Status FetchContext::Check() const {
  if (cancellation != nullptr && cancellation->cancelled()) {
    return absl::CancelledError("the caller cancelled the fetch");
  }
  if (absl::Now() >= deadline) return absl::DeadlineExceededError("the fetch's deadline passed");
  return absl::OkStatus();
}

}  // namespace reflux
