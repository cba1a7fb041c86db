#include "common/targets/missing_targets.h"

namespace reflux {

MissingTargets::MissingTargets(const TargetRequest& request) {
  for (size_t sample = 0; sample < request.samples.size(); ++sample) {
    for (size_t spec = 0; spec < request.specs.size(); ++spec) missing_.insert({sample, spec});
  }
}

MissingTargets::Rest MissingTargets::Of(const TargetRequest& request) const {
  Rest rest{.request = {.teacher = request.teacher, .samples = {}, .specs = request.specs},
            .samples = {}};
  for (const auto& [sample, spec] : missing_) {
    if (!rest.samples.empty() && rest.samples.back() == sample) continue;
    rest.samples.push_back(sample);
    rest.request.samples.push_back(request.samples[sample]);
  }
  return rest;
}

void MissingTargets::Fail(const absl::Status& status, TargetSink& sink) {
  for (const auto& [sample, spec] : std::exchange(missing_, {})) {
    sink.Deliver(sample, spec, status);
  }
}

bool IsRetryable(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kDataLoss:
    case absl::StatusCode::kAborted:
      return true;
    default:
      return false;
  }
}

}  // namespace reflux
