// Requests and answers on the wire, records of the cache, archives and values of targets.
#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cache/index_record.h"
#include "cache/set_record.h"
#include "common/targets/decode_value.h"
#include "common/targets/target_archive.h"
#include "common/targets/target_part.h"
#include "common/targets/wire.h"
#include "common/targets/zstd_value.h"
#include "tests/contract/cache_fixtures.h"
#include "tests/fuzz/target_list.h"

namespace reflux {
namespace {

template <typename Message>
std::vector<std::string> Serialized(const Message& message) {
  return {message.SerializeAsString()};
}

// Messages that pass FromProto go through ToProto to the same value.
template <typename Message>
void ParseMessage(absl::string_view bytes) {
  Message message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return;
  const auto value = FromProto(message);
  if (!value.ok()) return;
  const auto again = FromProto(ToProto(*value));
  REQUIRE_PROMISE(again.ok());
  REQUIRE_PROMISE(ToProto(*again).SerializeAsString() == ToProto(*value).SerializeAsString());
}

void ParseFetchRequest(absl::string_view bytes) {
  v1::FetchRequest message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return;
  const auto request = FromProto(std::move(message));
  if (!request.ok()) return;
  REQUIRE_PROMISE(request->Validate().ok());
  for (size_t sample = 0; sample < request->samples.size(); ++sample) {
    for (const TargetSpec& spec : request->specs) {
      MakeTargetKey(request->teacher, request->samples[sample], spec);
    }
  }
}

std::vector<std::string> FetchRequestSeeds() {
  return Serialized(ToProto(FakeRequest(2, 2), Priority::kStudent));
}

// What is read without a copy is what Protobuf reads, though the message lies in two slices.
void ParseTargetPart(absl::string_view bytes) {
  const size_t cut = bytes.size() / 2;
  const grpc::Slice slices[] = {{bytes.data(), cut}, {bytes.data() + cut, bytes.size() - cut}};
  grpc::ByteBuffer message(slices, 2);
  v1::FetchResponse expected;
  const bool parses = expected.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
  PartReader part(message);
  REQUIRE_PROMISE(part.Open().ok() == parses);
  if (!parses) return;
  REQUIRE_PROMISE((part.header() != nullptr) == expected.has_header());
  std::string chunk;
  for (auto piece = part.NextPiece(); !piece.empty(); piece = part.NextPiece()) {
    absl::StrAppend(&chunk, piece);
  }
  REQUIRE_PROMISE(chunk == expected.chunk());
}
std::vector<std::string> TargetPartSeeds() {
  v1::FetchResponse header, chunk;
  header.mutable_header()->mutable_payload()->set_bytes(24);
  chunk.set_chunk(std::string(300, 'x'));
  return {header.SerializeAsString(), chunk.SerializeAsString(),
          header.SerializeAsString() + chunk.SerializeAsString()};
}

void ParseTeacherInfo(absl::string_view bytes) { ParseMessage<v1::TeacherInfo>(bytes); }
std::vector<std::string> TeacherInfoSeeds() {
  TeacherInfo info{.identity = FakeIdentity(), .model = "deeplabv3_resnet101", .num_classes = 11};
  info.taps = {{.name = "logits", .channels = 11, .stride = 8}};
  return Serialized(ToProto(info));
}

void ParseTargetSpec(absl::string_view bytes) { ParseMessage<v1::TargetSpec>(bytes); }
std::vector<std::string> TargetSpecSeeds() {
  std::vector<std::string> seeds;
  for (const Codec codec : {Codec::kFp16, Compressed(Codec::kInt8), *ParseCodec("topk:4+zstd")})
    seeds.push_back(ToProto(TargetSpec{.tap = "logits", .codec = codec}).SerializeAsString());
  return seeds;
}

void ParseIndexRecord(absl::string_view bytes) {
  const auto record = DecodeIndexRecord(bytes);
  if (record.ok()) REQUIRE_PROMISE(EncodeIndexRecord(*record) == bytes);
}
std::vector<std::string> IndexRecordSeeds() {
  IndexRecord record{.insertion = 7,
                     .size = 24,
                     .checksum = 99,
                     .set = MakeTargetSetId(SetOf(FakeRequest(1))),
                     .shape = {1, 2, 3}};
  const std::string without_origin = EncodeIndexRecord(record);
  record.origin = OriginOf(FakeRequest(1), 0);
  return {without_origin, EncodeIndexRecord(record)};
}

void ParseInsertion(absl::string_view bytes) {
  const auto insertion = DecodeInsertion(bytes);
  if (insertion.ok()) REQUIRE_PROMISE(EncodeInsertion(*insertion) == bytes);
}
std::vector<std::string> InsertionSeeds() { return {EncodeInsertion(1234567)}; }

// The key's 32 bytes, then the value.
void ParseSetRecord(absl::string_view bytes) {
  const size_t key = std::min<size_t>(bytes.size(), Digest::kSize);
  const auto set = DecodeSetRecord(bytes.substr(0, key), bytes.substr(key));
  if (!set.ok()) return;
  REQUIRE_PROMISE(set->id == MakeTargetSetId(set->set));
  REQUIRE_PROMISE(DecodeSetRecord(bytes.substr(0, key), EncodeSetRecord(*set)).ok());
}
std::vector<std::string> SetRecordSeeds() {
  StoredSet stored{.set = SetOf(FakeRequest(1)), .entries = 3, .bytes = 300};
  stored.id = MakeTargetSetId(stored.set);
  return {absl::StrCat(stored.id.digest.AsBytes(), EncodeSetRecord(stored))};
}

// Writes what a reader returns; the bytes must be those that it read.
void ParseTargetArchive(absl::string_view bytes) {
  ArchiveReader reader(BytesInput(bytes));
  std::string again;
  ArchiveWriter writer([&](absl::string_view piece) {
    absl::StrAppend(&again, piece);
    return absl::OkStatus();
  });
  const auto header = reader.Begin();
  if (!header.ok() || !writer.Begin(*header).ok()) return;
  while (true) {
    const auto entry = reader.Next();
    if (!entry.ok()) return;
    if (!entry->has_value()) break;
    REQUIRE_PROMISE((*entry)->target.Verify().ok());
    REQUIRE_PROMISE(writer.Add(**entry).ok());
  }
  REQUIRE_PROMISE(writer.End().ok());
  REQUIRE_PROMISE(again == bytes);
}
std::vector<std::string> TargetArchiveSeeds() {
  const TargetRequest request = FakeRequest(2);
  std::string bytes;
  ArchiveWriter writer([&](absl::string_view piece) {
    absl::StrAppend(&bytes, piece);
    return absl::OkStatus();
  });
  REQUIRE_PROMISE(writer.Begin({.sets = {SetOf(request)}, .licence = "CC0"}).ok());
  for (size_t i = 0; i < 2; ++i) {
    REQUIRE_PROMISE(
        writer.Add({0, KeyOf(request, i), OriginOf(request, i), FakeTarget(static_cast<int>(i))})
            .ok());
  }
  REQUIRE_PROMISE(writer.End().ok());
  return {bytes};
}

// Codec, the sides of the map less one, then the value: never more numbers than the map has.
void ParseValue(absl::string_view bytes) {
  if (bytes.size() < 4) return;
  const auto side = [&](size_t at) { return 1 + static_cast<uint8_t>(bytes[at]) % 32; };
  const auto codec = static_cast<Codec>(bytes[0]);
  if (!IsCodec(static_cast<int64_t>(codec))) return;
  const auto target = EncodedTarget::FromBytes(std::string(bytes.substr(4)), StoredDType(codec),
                                               codec, {side(1), side(2), side(3)});
  const auto numbers = DecodeValue(target);
  if (!numbers.ok()) return;
  REQUIRE_PROMISE(static_cast<int>(numbers->size()) == side(1) * side(2) * side(3));
}
std::vector<std::string> ValueSeeds() {
  std::vector<std::string> seeds;
  for (const Codec codec : {Codec::kFp32, Codec::kBf16, Codec::kInt8, *ParseCodec("topk:2")}) {
    const std::string value(UncompressedBytes(codec, {3, 2, 2}), '\0');
    const std::string packed = CompressValue(value, BytesPerElement(StoredDType(codec))).value();
    for (const auto& [name, text] : {std::pair(codec, value), {Compressed(codec), packed}})
      seeds.push_back(absl::StrCat(std::string(1, static_cast<char>(name)), "\x02\x01\x01", text));
  }
  return seeds;
}

// K, the channels less one, then a value of two positions.
void ParseTopKValue(absl::string_view bytes) {
  if (bytes.size() < 2) return;
  const int64_t k = 1 + static_cast<uint8_t>(bytes[0]) % 63;
  const int64_t channels = 1 + static_cast<uint8_t>(bytes[1]);
  const absl::string_view value = bytes.substr(2);
  if (static_cast<int64_t>(value.size()) != 2 * (2 + 3 * k)) return;
  std::vector<float> out(2 * channels);
  if (!DecodeTopK(value, k, channels, 2, out.data()).ok()) return;
  for (const float logit : out) REQUIRE_PROMISE(std::isfinite(logit));
}
// Two of three classes.
std::vector<std::string> TopKValueSeeds() {
  using namespace std::string_literals;  // NOLINT: literals with zero bytes
  return {"\x01\x02\0\x3c\0\0\0\x40\0\x3e\0\x3e\0\x3c\x02\0\0\x01"s};
}

}  // namespace

std::vector<FuzzTarget> MessageTargets() {
  return {{"fetch_request", ParseFetchRequest, FetchRequestSeeds},
          {"target_part", ParseTargetPart, TargetPartSeeds},
          {"teacher_info", ParseTeacherInfo, TeacherInfoSeeds},
          {"target_spec", ParseTargetSpec, TargetSpecSeeds},
          {"index_record", ParseIndexRecord, IndexRecordSeeds},
          {"insertion", ParseInsertion, InsertionSeeds},
          {"set_record", ParseSetRecord, SetRecordSeeds},
          {"target_archive", ParseTargetArchive, TargetArchiveSeeds},
          {"value", ParseValue, ValueSeeds},
          {"topk_value", ParseTopKValue, TopKValueSeeds}};
}

}  // namespace reflux
