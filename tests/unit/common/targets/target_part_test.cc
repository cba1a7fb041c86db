#include "common/targets/target_part.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace reflux {
namespace {

using namespace std::string_literals;  // NOLINT: literals with zero bytes

// `bytes` in slices that end at `cuts`, with an empty one at each.
grpc::ByteBuffer Sliced(const std::string& bytes, const std::vector<size_t>& cuts) {
  std::vector<grpc::Slice> slices;
  size_t begin = 0;
  for (const size_t end : cuts) {
    slices.emplace_back(bytes.data() + begin, end - begin);
    slices.emplace_back();
    begin = end;
  }
  slices.emplace_back(bytes.data() + begin, bytes.size() - begin);
  return {slices.data(), slices.size()};
}

// What a message says, for people: "chunk:..." or the header.
std::string Reading(grpc::ByteBuffer message) {
  PartReader part(message);
  if (const absl::Status status = part.Open(); !status.ok()) {
    return absl::StrCat("refused: ", absl::IsDataLoss(status));
  }
  if (part.header() != nullptr) return part.header()->ShortDebugString();
  std::string chunk;
  for (auto piece = part.NextPiece(); !piece.empty(); piece = part.NextPiece()) {
    absl::StrAppend(&chunk, piece);
  }
  EXPECT_EQ(chunk.size(), part.chunk_bytes());
  return "chunk:" + chunk;
}
std::string Reading(const std::string& bytes) { return Reading(Sliced(bytes, {})); }

std::string ByProtobuf(const v1::FetchResponse& response) { return response.SerializeAsString(); }
v1::FetchResponse Chunk(const std::string& bytes) {
  v1::FetchResponse response;
  response.set_chunk(bytes);
  return response;
}
std::string Bytes(const grpc::ByteBuffer& message) {
  grpc::Slice slice;
  EXPECT_TRUE(message.DumpToSingleSlice(&slice).ok());
  return {reinterpret_cast<const char*>(slice.begin()), slice.size()};
}

TEST(TargetPart, IsWrittenAsProtobufWritesIt) {
  for (const size_t size : {0u, 1u, 127u, 128u, 16384u, 2097152u, 2097153u}) {
    const std::string bytes(size, 'x');
    EXPECT_TRUE(Bytes(ChunkPart(grpc::Slice(bytes))) == ByProtobuf(Chunk(bytes))) << size;
  }
  v1::FetchResponse response;
  response.mutable_header()->set_sample(7);
  response.mutable_header()->mutable_payload()->set_bytes(int64_t{1} << 30);
  EXPECT_EQ(Bytes(HeaderPart(response.header())), ByProtobuf(response));
}

TEST(TargetPart, AMessageMayBeCutAnywhere) {
  std::string bytes;
  for (int i = 0; i < 300; ++i) bytes += static_cast<char>(i);
  v1::FetchResponse header;
  header.mutable_header()->mutable_error()->set_message("no such tap");
  for (const v1::FetchResponse& response : {Chunk(bytes), Chunk("ab"), Chunk(""), header}) {
    const std::string wire = ByProtobuf(response);
    const std::string whole = Reading(wire);
    std::vector<size_t> everywhere;
    for (size_t cut = 0; cut <= wire.size(); ++cut) {
      EXPECT_EQ(Reading(Sliced(wire, {cut})), whole) << cut;
      everywhere.push_back(cut);
    }
    EXPECT_EQ(Reading(Sliced(wire, everywhere)), whole);
  }
  EXPECT_EQ(Reading(ByProtobuf(Chunk(bytes))), "chunk:" + bytes);
}

TEST(TargetPart, WhatALaterProtocolAddsIsPassedOver) {
  // Fields 15 (varint), 16 (text), 17 (group), 18 (fixed64), 19 (fixed32).
  for (const std::string& unknown :
       {"\x78\x96\x01"s, "\x82\x01\x03"s + "abc", "\x8b\x01\x08\x05\x8c\x01"s,
        "\x91\x01" + std::string(8, '\0'), "\x9d\x01" + std::string(4, '\0')}) {
    const std::string chunk = ByProtobuf(Chunk("data"));
    EXPECT_EQ(Reading(unknown + chunk), "chunk:data");
    EXPECT_EQ(Reading(chunk + unknown), "chunk:data");
    EXPECT_EQ(Reading(unknown), "chunk:");
    for (size_t cut = 0; cut < unknown.size() + chunk.size(); ++cut) {
      EXPECT_EQ(Reading(Sliced(unknown + chunk, {cut})), "chunk:data");
    }
  }
}

TEST(TargetPart, TheLastOfAOneofCounts) {
  v1::FetchResponse header;
  header.mutable_header()->set_sample(3);
  const std::string chunk = ByProtobuf(Chunk("data"));
  EXPECT_EQ(Reading(ByProtobuf(header) + chunk), "chunk:data");
  EXPECT_EQ(Reading(chunk + ByProtobuf(header)), "sample: 3");
  EXPECT_EQ(Reading(ByProtobuf(Chunk("other")) + chunk), "chunk:data");
  EXPECT_EQ(Reading(""), "chunk:");
}

TEST(TargetPart, RefusesWhatIsNoFetchResponse) {
  for (const std::string& wrong :
       {"\x12"s, "\x12\x80"s, "\x12\x05" + "abcd"s, "\x12\xff\xff\xff\xff\x0f" + "a"s,
        "\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"s, "\x0a\x05"s, "\x07"s, "\x00"s,
        "\x12\xfe\xff\xff\xff\x07" + "a"s}) {
    EXPECT_EQ(Reading(wrong), "refused: 1") << testing::PrintToString(wrong);
  }
  const std::string wire = ByProtobuf(Chunk(std::string(200, 'x')));
  for (size_t cut = 1; cut < wire.size(); ++cut) {
    EXPECT_EQ(Reading(wire.substr(0, cut)), "refused: 1") << cut;
  }
}

}  // namespace
}  // namespace reflux
