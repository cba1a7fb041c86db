// A TargetSource on the other end of a wire.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "common/base/boot_id.h"
#include "common/metrics/registry.h"
#include "common/targets/target.h"

namespace reflux {

struct RemoteSourceOptions {
  // "host:port" or "@FILE" (common/rpc/endpoints.h); resolved again at every connection.
  std::string endpoint;
  // First and largest pause between tries of a target that came back UNAVAILABLE,
  // RESOURCE_EXHAUSTED, DATA_LOSS or ABORTED. Tries go on until the caller's deadline.
  absl::Duration min_backoff = absl::Milliseconds(50);
  absl::Duration max_backoff = absl::Seconds(2);
  // No second try: a failure is the caller's, who asks another server (pooled_source.h). An image
  // that is asked for is still sent.
  bool single_try = false;
  // Deadline of a single try: a server that hangs costs this much.
  absl::Duration try_timeout = absl::Minutes(5);
  // A server that has not been reached for this long, counted from the first failed try, is given
  // up: UNAVAILABLE for what is missing. For callers that have another server to ask.
  absl::Duration give_up_after = absl::InfiniteDuration();
  // Reads an image when the server answers SAMPLE_NEEDED. Null: the answer goes on to the caller.
  std::function<absl::StatusOr<std::string>(const Locator&)> read_image;
  // Reads the label that goes with it, when the request has a label digest.
  ReadLabelFn read_label;
  // Ask a cache server to store the targets and to send no bytes: they are delivered empty.
  bool discard = false;
  // Read targets from the files that a server of this host names (TargetLocation), where it does.
  bool reads_files = false;
  std::string host = BootId();  // by which a server knows whether it is this host
  // Pause after a file could not be opened: it may lie where this process cannot see it.
  absl::Duration files_again_after = absl::Minutes(1);
};

struct RemoteSourceMetrics {
  Counter targets, bytes, retries, images_sent;
  static RemoteSourceMetrics Register(MetricRegistry& registry, const std::string& component);
  // Of a source that reads files.
  Counter file_reads, file_errors;
  void AddFileReads(MetricRegistry& registry, const std::string& component);
};

// Thread-safe; several Fetch calls run at once. A connection that breaks in mid-answer costs a
// retry of the targets that are still missing, never a second delivery. Checksums are verified
// before delivery. Deliveries run on the calling thread.
std::unique_ptr<TargetSource> MakeRemoteSource(const RemoteSourceOptions& options,
                                               const RemoteSourceMetrics& metrics = {});

}  // namespace reflux
