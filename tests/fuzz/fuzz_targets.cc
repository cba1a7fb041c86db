#include "tests/fuzz/fuzz_targets.h"

#include <google/protobuf/util/message_differencer.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <iostream>
#include <opencv2/imgcodecs.hpp>

#include "absl/strings/str_cat.h"
#include "cache/index_record.h"
#include "cache/set_record.h"
#include "common/base/file.h"
#include "common/spec/job_file.h"
#include "common/targets/decode_value.h"
#include "common/targets/target_archive.h"
#include "common/targets/target_part.h"
#include "common/targets/wire.h"
#include "distill/checkpoint/pickle_reader.h"
#include "distill/checkpoint/scripted_listing.h"
#include "distill/checkpoint/torch_file.h"
#include "distill/data/image_header.h"
#include "distill/data/png_palette.h"
#include "tests/contract/cache_fixtures.h"

namespace reflux {
namespace {

void Require(bool holds, const char* what) {
  if (holds) return;
  std::cerr << "broken promise: " << what << std::endl;
  std::abort();
}
#define REQUIRE_PROMISE(condition) Require((condition), #condition)

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

// A job that is accepted says the same when it is spelt out.
void ParseJobFile(absl::string_view bytes) {
  const auto spec = ParseJob({.text = std::string(bytes), .folder = "/nowhere"});
  if (!spec.ok()) return;
  const auto again = ParseJob({.text = ResolvedYaml(*spec), .folder = "/nowhere"});
  REQUIRE_PROMISE(again.ok());
  REQUIRE_PROMISE(google::protobuf::util::MessageDifferencer::Equals(*again, *spec));
}
std::vector<std::string> JobFileSeeds() {
  return {
      R"(name: r18
data: {format: camvid, root: /d, crop: [96, 128], scale: [0.5, 2.0]}
teacher: {checkpoint: /t.safetensors, expect_miou: 60}
student: {model: deeplabv3_resnet18}
losses: {kd: {temperature: 2}, i2ckd: {tap: aspp}, icsd: {schedule: alw}}
targets: {cache: lab, views: "replay: 8", codec: fp16}
train: {global_batch: 16, steps: 40000, precision: bf16}
run: {students: 2}
)",
      "extends: recipes/afdcd-camvid-r18\ndata: {root: d}\nteacher: {checkpoint: t}\n",
      "data: {format: folders, root: d, classes: [a, b], label_map: {7: 0, 11: 1}, ignore: 0}\n"
      "losses: {frskd: {taps: [c3, c4]}}\nstudent: {model: psp_resnet18}\ntrain: {epochs: 2}\n"};
}

void ParseImage(absl::string_view bytes) {
  const auto header = ReadImageHeader(bytes);
  if (!header.ok()) return;
  REQUIRE_PROMISE(header->height > 0 && header->width > 0);
  int bits = 0;
  if (IsPalettePng(bytes, &bits)) {
    REQUIRE_PROMISE(ReadImageHeader(GreyFromPalettePng(bytes)).ok());
  }
}
std::vector<std::string> ImageSeeds() {
  const cv::Mat grey(4, 5, CV_8UC1, cv::Scalar(2));
  std::vector<std::string> seeds = {
      EncodePalettePng(grey, {{0, 0, 0}, {1, 2, 3}, {4, 5, 6}}).value()};
  for (const char* kind : {".png", ".jpg"}) {
    std::vector<uint8_t> bytes;
    cv::imencode(kind, grey, bytes);
    seeds.emplace_back(bytes.begin(), bytes.end());
  }
  return seeds;
}

void ParsePickle(absl::string_view bytes) {
  const auto graph = ReadPickle(bytes);
  if (!graph.ok()) return;
  REQUIRE_PROMISE(graph->bytes <= bytes.size());
  REQUIRE_PROMISE(graph->root >= 0 && graph->root < static_cast<PickleId>(graph->values.size()));
  for (const PickleValue& value : graph->values) {
    for (const PickleId id : value.items) {
      REQUIRE_PROMISE(id >= 0 && id < static_cast<PickleId>(graph->values.size()));
    }
  }
}
// {"a": (1, 2.5, None)} by protocol 2, and an object of a class that does not exist.
std::vector<std::string> PickleSeeds() {
  using namespace std::string_literals;  // NOLINT: literals with zero bytes
  return {
      "\x80\x02}q\0U\x01"
      "a"
      "K\x01G@\x04\0\0\0\0\0\0N\x87s."s,
      "\x80\x02"
      "cmymodule\nMyClass\nq\0)\x81q\x01}q\x02U\x01xK\x07sb."s};
}

void ParseTorchFile(absl::string_view bytes) {
  const auto source = BytesInMemory("fuzzed.pth", std::string(bytes));
  if (!LooksLikeTorchFile(*source)) return;
  const auto file = ReadTorchFile(source);
  if (file.ok()) REQUIRE_PROMISE(!file->tensors.empty());
}
// What torch.save wrote, of both formats.
std::vector<std::string> TorchFileSeeds() {
  const std::string folder =
      absl::StrCat(std::getenv("REFLUX_SOURCE"), "/tests/unit/distill/checkpoint/data/");
  std::vector<std::string> seeds;
  for (const char* file : {"zip.pth", "legacy.pth", "protocol4.pth", "whole_module.pth"}) {
    seeds.push_back(ReadFile(folder + file, 1 << 20).value());
  }
  return seeds;
}

void ParseScriptedFile(absl::string_view bytes) {
  const auto listing = ListScriptedFile(BytesInMemory("fuzzed.pt", std::string(bytes)));
  if (listing.ok()) REQUIRE_PROMISE(!listing->module_class.empty());
}
std::vector<std::string> ScriptedFileSeeds() {
  return {ReadFile(absl::StrCat(std::getenv("REFLUX_SOURCE"),
                                "/tests/unit/distill/checkpoint/data/scripted.pt"),
                   1 << 20)
              .value()};
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

const std::vector<FuzzTarget>& FuzzTargets() {
  static const auto* const targets =
      new std::vector<FuzzTarget>{{"fetch_request", ParseFetchRequest, FetchRequestSeeds},
                                  {"target_part", ParseTargetPart, TargetPartSeeds},
                                  {"teacher_info", ParseTeacherInfo, TeacherInfoSeeds},
                                  {"target_spec", ParseTargetSpec, TargetSpecSeeds},
                                  {"index_record", ParseIndexRecord, IndexRecordSeeds},
                                  {"insertion", ParseInsertion, InsertionSeeds},
                                  {"set_record", ParseSetRecord, SetRecordSeeds},
                                  {"target_archive", ParseTargetArchive, TargetArchiveSeeds},
                                  {"job_file", ParseJobFile, JobFileSeeds},
                                  {"image", ParseImage, ImageSeeds},
                                  {"pickle", ParsePickle, PickleSeeds},
                                  {"torch_file", ParseTorchFile, TorchFileSeeds},
                                  {"scripted_file", ParseScriptedFile, ScriptedFileSeeds},
                                  {"topk_value", ParseTopKValue, TopKValueSeeds}};
  return *targets;
}

}  // namespace reflux
