// What one call of a RemoteSource (remote_source.h) brings. Thread-compatible.
#pragma once

#include <vector>

#include "common/targets/missing_targets.h"
#include "common/targets/remote_source.h"
#include "common/targets/target.h"

namespace reflux {

// Takes the targets by their place in the call. Gives on what is final; what may succeed in another
// try stays missing, with an image in `request` where the server asked for it.
class RemoteTry : public TargetSink {
 public:
  // `asked`: the sample of `request` by its place in the call.
  RemoteTry(const RemoteSourceOptions& options, RemoteSourceMetrics& metrics,
            const std::vector<size_t>& asked, TargetRequest& request, MissingTargets& missing,
            TargetSink& sink);

  char* Place(size_t index, size_t spec, const EncodedTarget& coming, size_t size) override;
  void Deliver(size_t index, size_t spec, absl::StatusOr<EncodedTarget> target) override;

  // Of a target that may succeed in another try.
  const absl::Status& last_failure() const { return last_failure_; }
  // Another try can carry images that this one could not.
  bool supplied_images() const { return supplied_images_; }

 private:
  bool IsMissing(size_t index, size_t spec) const;
  bool MayComeLater(size_t index, absl::Status& failure);
  bool SupplyImage(SampleRef& sample, absl::Status& failure);
  absl::Status SupplyLabel(SampleRef& sample);

  const RemoteSourceOptions& options_;
  RemoteSourceMetrics& metrics_;
  const std::vector<size_t>& asked_;
  TargetRequest& request_;
  MissingTargets& missing_;
  TargetSink& sink_;
  std::vector<bool> had_image_;  // a server that got the image and still asks for it is refused
  absl::Status last_failure_;
  bool supplied_images_ = false;
};

}  // namespace reflux
