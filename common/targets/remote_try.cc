#include "common/targets/remote_try.h"

#include <spdlog/spdlog.h>

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/targets/located_target.h"
#include "common/targets/wire.h"

namespace reflux {

RemoteTry::RemoteTry(const RemoteSourceOptions& options, RemoteSourceMetrics& metrics,
                     BlockPool& blocks, const std::vector<size_t>& asked, TargetRequest& request,
                     MissingTargets& missing, TargetSink& sink)
    : options_(options),
      metrics_(metrics),
      blocks_(blocks),
      asked_(asked),
      request_(request),
      missing_(missing),
      sink_(sink) {
  for (size_t sample : asked) {
    const auto& image = request.samples[sample].image;
    had_image_.push_back(image != nullptr);
    if (image != nullptr) image_bytes_ += image->size();
  }
}

bool RemoteTry::IsMissing(size_t index, size_t spec) const {
  return index < asked_.size() && spec < request_.specs.size() && missing_.Has(asked_[index], spec);
}

// None for a target that was delivered before: its place is the caller's again.
char* RemoteTry::Place(size_t index, size_t spec, const EncodedTarget& coming, size_t size) {
  return IsMissing(index, spec) ? sink_.Place(asked_[index], spec, coming, size) : nullptr;
}

void RemoteTry::Deliver(size_t index, size_t spec, absl::StatusOr<EncodedTarget> target) {
  if (!IsMissing(index, spec)) return;
  if (target.ok()) {
    metrics_.targets.Increment();
    metrics_.bytes.Increment(target->bytes.size());
  } else {
    absl::Status failure = target.status();
    if (MayComeLater(index, failure)) return;
    target = failure;
  }
  missing_.Take(asked_[index], spec);
  sink_.Deliver(asked_[index], spec, std::move(target));
}

void RemoteTry::DeliverLocation(size_t index, size_t spec, const EncodedTarget& coming,
                                const TargetLocation& location) {
  if (!IsMissing(index, spec)) return;
  const auto place = [&](const EncodedTarget& target, size_t size) {
    return sink_.Place(asked_[index], spec, target, size);
  };
  absl::StatusOr<EncodedTarget> target = ReadLocated(coming, location, place, blocks_);
  if (target.ok()) {
    metrics_.file_reads.Increment();
    Deliver(index, spec, std::move(target));
    return;
  }
  metrics_.file_errors.Increment();
  files_failed_ = true;
  if (absl::IsDataLoss(target.status())) return;  // of this target alone
  if (!std::exchange(files_unreadable_, true)) {
    spdlog::info("stored targets are sent by the server: {}", target.status().ToString());
  }
}

// Otherwise `failure` is what the caller is to hear.
bool RemoteTry::MayComeLater(size_t index, absl::Status& failure) {
  if (IsSampleNeeded(failure) && !had_image_[index] &&
      SupplyImage(request_.samples[asked_[index]], failure)) {
    supplied_images_ = true;
    return true;
  }
  if (!IsRetryable(failure)) return false;
  last_failure_ = failure;
  return true;
}

// One call is one message: it carries at most kMaxImageBytes of images, or a single one. Those that
// found no room go with the tries after it, once these have been answered.
bool RemoteTry::TakesImage(size_t bytes) {
  full_ = full_ || (image_bytes_ > 0 && image_bytes_ + bytes > kMaxImageBytes);
  if (!full_) image_bytes_ += bytes;
  return !full_;
}

// True when the next tries can carry the image. Otherwise `failure` says why not.
bool RemoteTry::SupplyImage(SampleRef& sample, absl::Status& failure) {
  failure = SampleNeededError(sample);
  if (sample.image != nullptr) return true;  // another spec of the sample asked before
  if (options_.read_image == nullptr) return false;
  if (full_) return true;
  absl::StatusOr<std::string> image = options_.read_image(sample.locator);
  if (!image.ok()) {
    failure = image.status();
    return false;
  }
  if (Sha256::Of(*image) != sample.digest) {
    failure = absl::FailedPreconditionError(
        absl::StrCat(sample.locator.path, " has changed since its digest was taken"));
    return false;
  }
  if (!TakesImage(image->size())) return true;
  if (const absl::Status label = SupplyLabel(sample); !label.ok()) {
    failure = label;
    return false;
  }
  metrics_.images_sent.Increment();
  sample.image = std::make_shared<const std::string>(*std::move(image));
  return true;
}

// The label beside the image, where a reduction reads it.
absl::Status RemoteTry::SupplyLabel(SampleRef& sample) {
  if (sample.label_digest.empty() || sample.label != nullptr) return absl::OkStatus();
  if (options_.read_label == nullptr) return SampleNeededError(sample);
  REFLUX_ASSIGN_OR_RETURN(LabelFile label, options_.read_label(sample.locator));
  if (LabelDigest(label) != sample.label_digest) {
    return absl::FailedPreconditionError(absl::StrCat("the label of ", sample.locator.path,
                                                      " has changed since its digest was taken"));
  }
  sample.label = std::make_shared<const LabelFile>(std::move(label));
  return absl::OkStatus();
}

}  // namespace reflux
