// Writes targets to a Fetch stream from where they lie: gRPC sends the memory of the target itself.
#pragma once

#include <grpcpp/grpcpp.h>

#include <map>
#include <memory>
#include <utility>

#include "common/base/block_pool.h"
#include "common/base/cancellation.h"
#include "common/rpc/lent_memory.h"
#include "common/targets/target.h"
#include "common/targets/target_service.h"
#include "reflux/v1/targets.pb.h"

namespace reflux {

using TargetWriter = grpc::ServerSplitStreamer<v1::FetchRequest, grpc::ByteBuffer>;

// What the calls of one service share. Outlives its server. Thread-safe.
struct SentMemory {
  // For sources that read into a place: memory that was sent a moment ago.
  BlockPool blocks{size_t{64} << 20};
  LentMemory lent;
};

// Of one call. gRPC's flow control blocks Deliver: the back-pressure. Thread-compatible.
class StreamSink : public TargetSink {
 public:
  // `cancellation` is cancelled when the stream breaks. `discard`: the call asked so.
  StreamSink(TargetWriter& writer, SentMemory& sent, Cancellation& cancellation,
             int64_t chunk_bytes, bool discard, const TargetServiceMetrics& metrics);

  char* Place(size_t sample, size_t spec, const EncodedTarget& coming, size_t size) override;
  void Deliver(size_t sample, size_t spec, absl::StatusOr<EncodedTarget> target) override;

 private:
  v1::TargetHeader HeaderOf(const absl::StatusOr<EncodedTarget>& target) const;
  void WriteBytes(const EncodedTarget& target);
  void Write(const grpc::ByteBuffer& message, bool more);

  TargetWriter& writer_;
  SentMemory& sent_;
  Cancellation& cancellation_;
  const size_t chunk_bytes_;
  const bool discard_;
  TargetServiceMetrics metrics_;
  std::map<std::pair<size_t, size_t>, std::shared_ptr<char>> placed_;  // and not yet delivered
  bool begun_ = false, broken_ = false;
};

}  // namespace reflux
