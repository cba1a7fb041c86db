// What one call of a RemoteSource (remote_source.h) brings. Thread-compatible.
#pragma once

#include <vector>

#include "common/base/block_pool.h"
#include "common/targets/missing_targets.h"
#include "common/targets/remote_source.h"
#include "common/targets/target.h"

namespace reflux {

// Takes the targets by their place in the call. Gives on what is final; what may succeed in another
// try stays missing, with an image in `request` where the server asked for it.
class RemoteTry : public TargetSink {
 public:
  // `asked`: the sample of `request` by its place in the call.
  RemoteTry(const RemoteSourceOptions& options, RemoteSourceMetrics& metrics, BlockPool& blocks,
            const std::vector<size_t>& asked, TargetRequest& request, MissingTargets& missing,
            TargetSink& sink);

  char* Place(size_t index, size_t spec, const EncodedTarget& coming, size_t size) override;
  void Deliver(size_t index, size_t spec, absl::StatusOr<EncodedTarget> target) override;
  // Reads the file; what cannot be read there stays missing.
  void DeliverLocation(size_t index, size_t spec, const EncodedTarget& coming,
                       const TargetLocation& location) override;

  // Of a target that may succeed in another try.
  const absl::Status& last_failure() const { return last_failure_; }
  // Another try can carry images that this one could not.
  bool supplied_images() const { return supplied_images_; }
  // Some file did not hold its target, or could not be read at all: the next try must do without.
  bool files_failed() const { return files_failed_; }
  bool files_unreadable() const { return files_unreadable_; }

 private:
  bool IsMissing(size_t index, size_t spec) const;
  bool MayComeLater(size_t index, absl::Status& failure);
  bool SupplyImage(SampleRef& sample, absl::Status& failure);
  bool TakesImage(size_t bytes);
  absl::Status SupplyLabel(SampleRef& sample);

  const RemoteSourceOptions& options_;
  RemoteSourceMetrics& metrics_;
  BlockPool& blocks_;  // for targets without a place
  const std::vector<size_t>& asked_;
  TargetRequest& request_;
  MissingTargets& missing_;
  TargetSink& sink_;
  std::vector<bool> had_image_;  // a server that got the image and still asks for it is refused
  size_t image_bytes_ = 0;       // of this call's images and those supplied for the next
  bool full_ = false;            // no further image has room in the next
  absl::Status last_failure_;
  bool supplied_images_ = false, files_failed_ = false, files_unreadable_ = false;
};

}  // namespace reflux
