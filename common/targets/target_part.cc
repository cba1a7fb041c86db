#include "common/targets/target_part.h"

#include <google/protobuf/io/coded_stream.h>

#include <algorithm>
#include <array>
#include <string>
#include <utility>

namespace reflux {
namespace {

using google::protobuf::io::CodedInputStream;
using google::protobuf::io::CodedOutputStream;

constexpr uint32_t kBytesWireType = 2;
constexpr uint32_t kChunkTag = v1::FetchResponse::kChunkFieldNumber << 3 | kBytesWireType;

}  // namespace

grpc::ByteBuffer HeaderPart(v1::TargetHeader header) {
  v1::FetchResponse response;
  *response.mutable_header() = std::move(header);
  const grpc::Slice slice(response.SerializeAsString());
  return {&slice, 1};
}

grpc::ByteBuffer ChunkPart(const grpc::Slice& bytes) {
  std::array<uint8_t, 10> prefix{};  // a tag and a length, of five bytes at most each
  uint8_t* end = CodedOutputStream::WriteVarint32ToArray(kChunkTag, prefix.data());
  end = CodedOutputStream::WriteVarint32ToArray(static_cast<uint32_t>(bytes.size()), end);
  const std::array<grpc::Slice, 2> slices = {
      grpc::Slice(prefix.data(), static_cast<size_t>(end - prefix.data())), bytes};
  return {slices.data(), slices.size()};
}

absl::Status PartReader::Open() {
  if (OpenPlainChunk()) return absl::OkStatus();
  pieces_.emplace(&message_);
  if (!parsed_.emplace().ParseFromZeroCopyStream(&*pieces_)) {
    return absl::DataLossError("target stream: a message is no FetchResponse");
  }
  chunk_bytes_ = left_ = parsed_->chunk().size();
  return absl::OkStatus();
}

// A chunk and nothing else. All other forms that the wire format allows, with unknown fields or a
// field said twice, are Protobuf's to read: they may well be copied.
bool PartReader::OpenPlainChunk() {
  pieces_.emplace(&message_);
  CodedInputStream stream(&*pieces_);
  uint32_t size = 0;
  if (stream.ReadTag() != kChunkTag || !stream.ReadVarint32(&size)) return false;
  if (static_cast<size_t>(stream.CurrentPosition()) + size != message_.Length()) return false;
  chunk_bytes_ = left_ = size;
  return true;
}

const v1::TargetHeader* PartReader::header() const {
  return parsed_.has_value() && parsed_->has_header() ? &parsed_->header() : nullptr;
}

absl::string_view PartReader::NextPiece() {
  if (parsed_.has_value()) {
    return absl::string_view(parsed_->chunk()).substr(chunk_bytes_ - std::exchange(left_, 0));
  }
  const void* data = nullptr;
  int size = 0;
  while (left_ > 0 && pieces_->Next(&data, &size)) {
    if (size == 0) continue;
    left_ -= static_cast<size_t>(size);
    return {static_cast<const char*>(data), static_cast<size_t>(size)};
  }
  return {};
}

}  // namespace reflux
