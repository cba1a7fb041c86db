// Writes targets to a Fetch stream from where they lie: gRPC sends the memory of the target itself.
#pragma once

#include <grpcpp/grpcpp.h>

#include <cstdint>

#include "common/base/cancellation.h"
#include "common/rpc/lent_memory.h"
#include "common/targets/target.h"
#include "common/targets/target_service.h"
#include "reflux/v1/targets.pb.h"

namespace reflux {

using TargetWriter = grpc::ServerSplitStreamer<v1::FetchRequest, grpc::ByteBuffer>;

// Of one call. gRPC's flow control blocks Deliver: the back-pressure. Thread-compatible.
class StreamSink : public TargetSink {
 public:
  struct Options {
    int64_t chunk_bytes = 0;
    bool discard = false;       // the call asked so
    bool on_this_host = false;  // the caller reads files of this host
  };
  // `lent` outlives the server. `cancellation` is cancelled when the stream breaks.
  StreamSink(TargetWriter& writer, LentMemory& lent, Cancellation& cancellation,
             const Options& options, const TargetServiceMetrics& metrics);

  void Deliver(size_t sample, size_t spec, absl::StatusOr<EncodedTarget> target) override;
  bool takes_locations() const override { return options_.on_this_host && !options_.discard; }
  void DeliverLocation(size_t sample, size_t spec, const EncodedTarget& coming,
                       const TargetLocation& location) override;

 private:
  v1::TargetHeader HeaderOf(const absl::StatusOr<EncodedTarget>& target) const;
  void WriteBytes(const EncodedTarget& target);
  void Write(const grpc::ByteBuffer& message, bool more);

  TargetWriter& writer_;
  LentMemory& lent_;
  Cancellation& cancellation_;
  const Options options_;
  TargetServiceMetrics metrics_;
  bool begun_ = false, broken_ = false;
};

}  // namespace reflux
