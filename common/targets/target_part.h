// A FetchResponse (targets.proto) as gRPC carries it, made and read without a copy of the bytes of
// its chunk. On the wire nothing differs from what Protobuf writes.
#pragma once

#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/proto_buffer_reader.h>

#include <cstddef>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "reflux/v1/targets.pb.h"

namespace reflux {

grpc::ByteBuffer HeaderPart(v1::TargetHeader header);
// The message refers to the memory of `bytes`.
grpc::ByteBuffer ChunkPart(const grpc::Slice& bytes);

// Reads one message, which must outlive it. Thread-compatible.
class PartReader {
 public:
  explicit PartReader(grpc::ByteBuffer& message) : message_(message) {}

  // Before anything else. DataLoss: the message is no FetchResponse.
  absl::Status Open();
  // Null for a chunk. A message that says neither is an empty chunk, as to any proto3 reader that
  // does not know what a later protocol put there.
  const v1::TargetHeader* header() const;
  // Of the chunk as a whole.
  size_t chunk_bytes() const { return chunk_bytes_; }
  // The next of the chunk's pieces, as they lie in the message; empty after the last.
  absl::string_view NextPiece();

 private:
  bool OpenPlainChunk();

  grpc::ByteBuffer& message_;
  size_t chunk_bytes_ = 0;
  size_t left_ = 0;  // of the chunk
  std::optional<grpc::ProtoBufferReader> pieces_;
  std::optional<v1::FetchResponse> parsed_;  // all but plain chunks
};

}  // namespace reflux
