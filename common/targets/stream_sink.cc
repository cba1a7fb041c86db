#include "common/targets/stream_sink.h"

#include <algorithm>
#include <string>

#include "common/targets/target_part.h"

namespace reflux {
namespace {

void SetError(const absl::Status& status, v1::TargetError* error) {
  error->set_code(static_cast<int>(status.code()));
  error->set_message(std::string(status.message()));
  error->set_sample_needed(IsSampleNeeded(status));
}

void SetPayload(const EncodedTarget& target, v1::TargetHeader::Payload* payload) {
  payload->set_dtype(static_cast<v1::DType>(target.dtype));
  payload->set_codec(static_cast<v1::Codec>(target.codec));
  for (int32_t side : target.shape) payload->add_shape(side);
  payload->set_bytes(static_cast<int64_t>(target.bytes.size()));
  payload->set_checksum(target.checksum);
}

}  // namespace

StreamSink::StreamSink(TargetWriter& writer, SentMemory& sent, Cancellation& cancellation,
                       int64_t chunk_bytes, bool discard, const TargetServiceMetrics& metrics)
    : writer_(writer),
      sent_(sent),
      cancellation_(cancellation),
      chunk_bytes_(static_cast<size_t>(chunk_bytes)),
      discard_(discard),
      metrics_(metrics) {}

char* StreamSink::Place(size_t sample, size_t spec, const EncodedTarget&, size_t size) {
  if (discard_) return nullptr;
  auto& block = placed_[{sample, spec}] = sent_.blocks.Take(size);
  return block.get();
}

void StreamSink::Deliver(size_t sample, size_t spec, absl::StatusOr<EncodedTarget> target) {
  auto placed = placed_.extract({sample, spec});
  if (!placed.empty() && target.ok() && target->owner == nullptr) {
    target->owner = std::move(placed.mapped());
  }
  v1::TargetHeader header = HeaderOf(target);
  header.set_sample(static_cast<uint32_t>(sample));
  header.set_spec(static_cast<uint32_t>(spec));
  const bool more = header.has_payload();
  Write(HeaderPart(std::move(header)), more);
  if (more) WriteBytes(*target);
  if (!target.ok()) metrics_.errors.Increment();
}

v1::TargetHeader StreamSink::HeaderOf(const absl::StatusOr<EncodedTarget>& target) const {
  v1::TargetHeader header;
  if (!target.ok()) {
    SetError(target.status(), header.mutable_error());
  } else if (discard_) {
    header.mutable_stored();
  } else {
    SetPayload(*target, header.mutable_payload());
  }
  return header;
}

void StreamSink::WriteBytes(const EncodedTarget& target) {
  const size_t size = target.bytes.size();
  const grpc::Slice all = sent_.lent.Lend(target.bytes, target.owner);
  for (size_t at = 0; at < size; at += chunk_bytes_) {
    Write(ChunkPart(all.sub(at, std::min(size, at + chunk_bytes_))), false);
  }
  metrics_.targets.Increment();
  metrics_.bytes.Increment(static_cast<double>(size));
}

// `more`: it need not go out before the message that follows. The first must: gRPC would wait for
// the call's metadata to be sent, and not send it.
void StreamSink::Write(const grpc::ByteBuffer& message, bool more) {
  if (broken_) return;
  grpc::WriteOptions options;
  if (more && begun_) options.set_buffer_hint();
  begun_ = true;
  broken_ = !writer_.Write(message, options);
  if (broken_) cancellation_.Cancel();
}

}  // namespace reflux
