#include "common/targets/stream_sink.h"

#include <algorithm>
#include <string>
#include <utility>

#include "common/targets/target_part.h"

namespace reflux {
namespace {

void SetError(const absl::Status& status, v1::TargetError* error) {
  error->set_code(static_cast<int>(status.code()));
  error->set_message(std::string(status.message()));
  error->set_sample_needed(IsSampleNeeded(status));
}

void SetPayload(const EncodedTarget& target, size_t bytes, v1::TargetHeader::Payload* payload) {
  payload->set_dtype(static_cast<v1::DType>(target.dtype));
  payload->set_codec(static_cast<v1::Codec>(target.codec));
  for (int32_t side : target.shape) payload->add_shape(side);
  payload->set_bytes(static_cast<int64_t>(bytes));
  payload->set_checksum(target.checksum);
}

}  // namespace

StreamSink::StreamSink(TargetWriter& writer, LentMemory& lent, Cancellation& cancellation,
                       const Options& options, const TargetServiceMetrics& metrics)
    : writer_(writer),
      lent_(lent),
      cancellation_(cancellation),
      options_(options),
      metrics_(metrics) {}

void StreamSink::Deliver(size_t sample, size_t spec, absl::StatusOr<EncodedTarget> target) {
  v1::TargetHeader header = HeaderOf(target);
  header.set_sample(static_cast<uint32_t>(sample));
  header.set_spec(static_cast<uint32_t>(spec));
  const bool more = header.has_payload();
  Write(HeaderPart(std::move(header)), more);
  if (more) WriteBytes(*target);
  if (!target.ok()) metrics_.errors.Increment();
}

void StreamSink::DeliverLocation(size_t sample, size_t spec, const EncodedTarget& coming,
                                 const TargetLocation& location) {
  v1::TargetHeader header;
  header.set_sample(static_cast<uint32_t>(sample));
  header.set_spec(static_cast<uint32_t>(spec));
  v1::TargetHeader::Located* located = header.mutable_located();
  SetPayload(coming, location.size, located->mutable_payload());
  located->set_path(location.path);
  located->set_offset(static_cast<int64_t>(location.offset));
  Write(HeaderPart(std::move(header)), false);
  metrics_.targets.Increment();
}

v1::TargetHeader StreamSink::HeaderOf(const absl::StatusOr<EncodedTarget>& target) const {
  v1::TargetHeader header;
  if (!target.ok()) {
    SetError(target.status(), header.mutable_error());
  } else if (options_.discard) {
    header.mutable_stored();
  } else {
    SetPayload(*target, target->bytes.size(), header.mutable_payload());
  }
  return header;
}

void StreamSink::WriteBytes(const EncodedTarget& target) {
  const size_t size = target.bytes.size();
  const grpc::Slice all = lent_.Lend(target.bytes, target.owner);
  const auto chunk = static_cast<size_t>(options_.chunk_bytes);
  for (size_t at = 0; at < size; at += chunk) {
    Write(ChunkPart(all.sub(at, std::min(size, at + chunk))), false);
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
