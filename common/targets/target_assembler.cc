#include "common/targets/target_assembler.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "common/base/status_macros.h"
#include "common/targets/target_form.h"

namespace reflux {
namespace {

absl::Status ErrorOf(const v1::TargetError& error) {
  if (error.code() <= 0 || error.code() > 16) return absl::UnknownError(error.message());
  if (error.sample_needed()) return SampleNeededError(SampleRef{});
  return {static_cast<absl::StatusCode>(error.code()), error.message()};
}

EncodedTarget Coming(const v1::TargetHeader::Payload& payload) {
  return {.dtype = static_cast<DType>(payload.dtype()),
          .codec = static_cast<Codec>(payload.codec()),
          .shape = {payload.shape(0), payload.shape(1), payload.shape(2)},
          .checksum = payload.checksum()};
}

constexpr size_t kMaxPath = 4096;

// Before a place is asked for: receivers make their batch by the shape. The numbers are checked
// before Coming narrows them.
bool IsInBounds(const v1::TargetHeader::Payload& payload) {
  return payload.bytes() > 0 && payload.bytes() <= EncodedTarget::kMaxBytes &&
         payload.shape_size() == 3 && payload.dtype() >= v1::DTYPE_FLOAT32 &&
         payload.dtype() <= v1::DTYPE_INT8 && IsCodec(payload.codec()) &&
         CheckForm(Coming(payload), payload.bytes()).ok();
}

}  // namespace

absl::Status TargetAssembler::Add(grpc::ByteBuffer& message) {
  PartReader part(message);
  REFLUX_RETURN_IF_ERROR(part.Open());
  if (part.header() != nullptr) return Begin(*part.header());
  if (!pending_ || part.chunk_bytes() > size_ - received_) {
    return absl::DataLossError("target stream: more bytes than announced");
  }
  for (absl::string_view piece = part.NextPiece(); !piece.empty(); piece = part.NextPiece()) {
    Append(piece);
  }
  if (received_ < size_) return absl::OkStatus();
  pending_ = false;
  sink_.Deliver(sample_, spec_, Finish());
  return absl::OkStatus();
}

absl::Status TargetAssembler::Begin(const v1::TargetHeader& header) {
  if (pending_) return absl::DataLossError("target stream: a target was cut short");
  sample_ = header.sample();
  spec_ = header.spec();
  if (header.has_error()) {
    sink_.Deliver(sample_, spec_, ErrorOf(header.error()));
    return absl::OkStatus();
  }
  if (header.has_stored() && discard_) {
    sink_.Deliver(sample_, spec_, EncodedTarget());
    return absl::OkStatus();
  }
  if (header.has_located()) return Locate(header.located());
  if (!header.has_payload() || !IsInBounds(header.payload())) {
    return absl::DataLossError("target stream: a header is out of bounds");
  }
  Announce(header.payload());
  return absl::OkStatus();
}

absl::Status TargetAssembler::Locate(const v1::TargetHeader::Located& located) {
  const bool in_bounds = IsInBounds(located.payload()) && !located.path().empty() &&
                         located.path().size() <= kMaxPath && located.offset() >= 0;
  if (!in_bounds || discard_) {
    return absl::DataLossError("target stream: a location is out of bounds");
  }
  sink_.DeliverLocation(sample_, spec_, Coming(located.payload()),
                        {located.path(), static_cast<uint64_t>(located.offset()),
                         static_cast<uint64_t>(located.payload().bytes())});
  return absl::OkStatus();
}

void TargetAssembler::Announce(const v1::TargetHeader::Payload& payload) {
  coming_ = Coming(payload);
  size_ = static_cast<size_t>(payload.bytes());
  received_ = 0;
  checksum_ = RunningChecksum();
  place_ = sink_.Place(sample_, spec_, coming_, size_);
  if (place_ == nullptr) {
    auto block = blocks_.Take(size_);
    place_ = block.get();
    coming_.owner = std::move(block);
  }
  pending_ = true;
}

// In pieces that are still in the processor's cache when they are hashed.
void TargetAssembler::Append(absl::string_view piece) {
  while (!piece.empty()) {
    const absl::string_view near = piece.substr(0, RunningChecksum::kPieceBytes);
    char* out = place_ + received_;
    std::memcpy(out, near.data(), near.size());
    checksum_.Add({out, near.size()});
    received_ += near.size();
    piece.remove_prefix(near.size());
  }
}

absl::StatusOr<EncodedTarget> TargetAssembler::Finish() {
  EncodedTarget target = std::exchange(coming_, {});
  target.bytes = {place_, size_};
  REFLUX_RETURN_IF_ERROR(target.VerifyAgainst(checksum_.value()));
  return target;
}

}  // namespace reflux
