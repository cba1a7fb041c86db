// Job files and sweeps, images, and what PyTorch writes.
#include <google/protobuf/util/message_differencer.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <opencv2/imgcodecs.hpp>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/file.h"
#include "common/base/safetensors_header.h"
#include "common/base/safetensors_writer.h"
#include "common/spec/job_file.h"
#include "common/spec/sweep_jobs.h"
#include "distill/checkpoint/pickle_reader.h"
#include "distill/checkpoint/scripted_listing.h"
#include "distill/checkpoint/torch_file.h"
#include "distill/data/image_header.h"
#include "distill/data/png_palette.h"
#include "distill/data/ppm.h"
#include "tests/fuzz/target_list.h"
#include "tests/support/stored_zip.h"

namespace reflux {
namespace {

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

// A job as a client sends it.
void ParseJobMessage(absl::string_view bytes) {
  v1::JobSpec message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return;
  const auto spec = ResolveJob(message);
  if (!spec.ok()) return;
  const auto again = ResolveJob(*spec);
  REQUIRE_PROMISE(again.ok());
  REQUIRE_PROMISE(google::protobuf::util::MessageDifferencer::Equals(*again, *spec));
}
std::vector<std::string> JobMessageSeeds() {
  return {ParseJob({.text = JobFileSeeds()[0], .folder = "/nowhere"}).value().SerializeAsString()};
}

// A sweep over the first seed's job.
void ParseSweep(absl::string_view bytes) {
  static const auto* const base =
      new SpecNode(ParseJobTree({.text = JobFileSeeds()[0], .folder = "/nowhere"}).value());
  const auto sweep = ParseJobTree({.text = std::string(bytes), .folder = "/nowhere"});
  if (!sweep.ok()) return;
  const auto kind = KindOf(*sweep);
  if (!kind.ok() || *kind != FileKind::kSweep) return;
  const auto jobs = ExpandSweep(*sweep, *base);
  if (jobs.ok()) REQUIRE_PROMISE(!jobs->jobs.empty());
}
std::vector<std::string> SweepSeeds() {
  return {
      "kind: sweep\nname: s\nbase: job.yaml\nbaseline: true\n"
      "variants: {kd: {losses: {kd: {temperature: 4}}}, ce: {losses: {kd: null}}}\n"
      "grid: {train.seed: [1, 2], train.steps: [100, 200]}\n"};
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

void ParsePpm(absl::string_view bytes) {
  const auto image = DecodePpm(bytes);
  if (!image.ok()) return;
  REQUIRE_PROMISE(3 * image->total() < bytes.size());
}
std::vector<std::string> PpmSeeds() { return {PpmFromPlanes("redgreblu", 1, 3)}; }

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

// Reads nothing beyond the file; the tensors have the bytes that their shapes need, within it.
void ParseSafetensors(absl::string_view bytes) {
  const auto read = [bytes](uint64_t offset, uint64_t size, char* out) {
    REQUIRE_PROMISE(offset <= bytes.size() && size <= bytes.size() - offset);
    bytes.copy(out, size, offset);
    return absl::OkStatus();
  };
  const auto header = ReadSafetensorsHeader("fuzzed", bytes.size(), bytes.size(), read);
  if (!header.ok()) return;
  for (const auto& [name, entry] : header->entries) {
    uint64_t needed = SafetensorsElementSize(entry.dtype);
    REQUIRE_PROMISE(needed > 0);
    for (const int64_t side : entry.shape) needed *= side;
    REQUIRE_PROMISE(entry.begin <= entry.end && entry.end <= bytes.size());
    REQUIRE_PROMISE(entry.end - entry.begin == needed);
  }
}
// What our writer wrote, and sizes that overflow in one factor, in the product and in the offsets.
std::vector<std::string> SafetensorsSeeds() {
  using namespace std::string_literals;  // NOLINT: literals with zero bytes
  const std::string path = std::filesystem::temp_directory_path() / absl::StrCat("seed_", getpid());
  REQUIRE_PROMISE(WriteSafetensorsFile(path,
                                       {{"half", "F16", {2}, "abcd"},
                                        {"wide", "F64", {1, 1}, "12345678"},
                                        {"none", "I32", {0, 3}, ""}},
                                       {{"step", "7"}})
                      .ok());
  std::vector<std::string> seeds = {ReadFile(path, 1 << 10).value()};
  std::filesystem::remove(path);
  for (const char* sizes : {R"([9223372036854775807],"data_offsets":[0,4])",
                            R"([4294967296,4294967296],"data_offsets":[0,0])",
                            R"([1],"data_offsets":[18446744073709551612,18446744073709551615])"}) {
    const std::string header = absl::StrCat(R"({"a":{"dtype":"F32","shape":)", sizes, "}}");
    seeds.push_back(absl::StrCat(std::string(1, static_cast<char>(header.size())),
                                 "\0\0\0\0\0\0\0"s, header, "1234"));
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

// The module of a TorchScript file alone: no mutation makes the checksums of a whole file right.
void ParseScriptedPickle(absl::string_view bytes) {
  ParseScriptedFile(
      StoredZip({{"m/data.pkl", std::string(bytes)},
                 {"m/data/0", std::string(64, '\0')},
                 {"m/code/__torch__.py", "class N(Module):\n  __buffers__ = [\"b\"]\n"},
                 {"m/constants.pkl", "\x80\x02)."}}));
}
// A module with a buffer `b`, and one that holds it twice.
std::vector<std::string> ScriptedPickleSeeds() {
  using namespace std::string_literals;  // NOLINT: literals with zero bytes
  const std::string tensor =
      "ctorch._utils\n_rebuild_tensor_v2\n((U\7storagectorch\nFloatStorage\n"
      "U\0010U\3cpuK\2tQK\0K\2\x85K\1\x85tR"s;
  const std::string module = "c__torch__\nN\nq\0)\x81}U\1b"s + tensor + "sb";
  return {"\x80\x02"s + module + ".", "\x80\x02"s + module + "q\0010h\0)\x81}U\1ah\1sU\1ch\1sb."s};
}

}  // namespace

std::vector<FuzzTarget> FileTargets() {
  return {{"job_file", ParseJobFile, JobFileSeeds},
          {"job_message", ParseJobMessage, JobMessageSeeds},
          {"sweep", ParseSweep, SweepSeeds},
          {"image", ParseImage, ImageSeeds},
          {"ppm", ParsePpm, PpmSeeds},
          {"pickle", ParsePickle, PickleSeeds},
          {"torch_file", ParseTorchFile, TorchFileSeeds},
          {"safetensors", ParseSafetensors, SafetensorsSeeds},
          {"scripted_file", ParseScriptedFile, ScriptedFileSeeds},
          {"scripted_pickle", ParseScriptedPickle, ScriptedPickleSeeds}};
}

}  // namespace reflux
