// Puts the messages of one Fetch stream together into targets, each in its place
// (TargetSink::Place) if there is one: copied once, out of gRPC's memory, and hashed on the way.
// Thread-compatible.
#pragma once

#include <grpcpp/support/byte_buffer.h>

#include "common/base/block_pool.h"
#include "common/targets/target.h"
#include "common/targets/target_checksum.h"
#include "common/targets/target_part.h"

namespace reflux {

class TargetAssembler {
 public:
  // `sink` gets what is complete, by the indices of the stream, whether or not they were asked for;
  // a target that does not match its checksum or its shape is delivered as DataLoss. `blocks` hold
  // the bytes of targets without a place. `discard`: the call asked so.
  TargetAssembler(TargetSink& sink, BlockPool& blocks, bool discard)
      : sink_(sink), blocks_(blocks), discard_(discard) {}

  // The next message. DataLoss for a stream that breaks the protocol.
  absl::Status Add(grpc::ByteBuffer& message);

 private:
  absl::Status Begin(const v1::TargetHeader& header);
  void Announce(const v1::TargetHeader::Payload& payload);
  absl::Status Locate(const v1::TargetHeader::Located& located);
  void Append(absl::string_view piece);
  absl::StatusOr<EncodedTarget> Finish();

  TargetSink& sink_;
  BlockPool& blocks_;
  const bool discard_;

  bool pending_ = false;  // bytes are still to come
  size_t sample_ = 0, spec_ = 0;
  EncodedTarget coming_;  // without its bytes
  char* place_ = nullptr;
  size_t size_ = 0, received_ = 0;
  RunningChecksum checksum_;
};

}  // namespace reflux
