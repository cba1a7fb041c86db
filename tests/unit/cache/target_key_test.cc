#include "common/targets/target_key.h"

#include <gtest/gtest.h>

#include <functional>
#include <set>
#include <vector>

#include "absl/strings/escaping.h"

namespace reflux {
namespace {

Digest Ascending(uint8_t first) {
  Digest digest;
  for (uint8_t& byte : digest.bytes) byte = first++;
  return digest;
}

struct Inputs {
  TeacherIdentity teacher{.digest = Ascending(0),
                          .preprocessing = {.bgr = true,
                                            .divisor = 1.0,
                                            .mean = {104.0, 116.5, 122.0},
                                            .deviation = {1.0, 1.0, 2.0}},
                          .numerics = {.mode = NumericsMode::kExact,
                                       .compute = ComputeDType::kBf16,
                                       .threads = 2,
                                       .batch = 8,
                                       .inference_revision = 1}};
  SampleRef sample{.digest = Ascending(100),
                   .view = {.resized_height = 360,
                            .resized_width = 480,
                            .crop_y = 16,
                            .crop_x = 32,
                            .crop_height = 256,
                            .crop_width = 512,
                            .flip = true}};
  TargetSpec spec{.tap = "aspp", .codec = Codec::kFp16};
};

// The bytes of docs/cache_format.md, written by an independent program.
constexpr char kGoldenKeyBytes[] =
    "000000000d7265666c75782e746172676574010000000400000001020000002000010203040506070809"
    "0a0b0c0d0e0f101112131415161718191a1b1c1d1e1f0300000039013ff0000000000000405a00000000"
    "0000405d200000000000405e8000000000003ff00000000000003ff00000000000004000000000000000"
    "040000000f01020000000002000000080000000105000000206465666768696a6b6c6d6e6f7071727374"
    "75767778797a7b7c7d7e7f80818283060000001900000168000001e00000001000000020000001000000"
    "0200010700000004617370700800000001010900000001030a00000000";
// The end of the key of aspp's class sums in float32: tap, reduction, codec, label digest.
constexpr char kGoldenClassSumsEnd[] =
    "0700000004617370700800000001020900000001010a000000201a432e84329607f777a43822a771e947"
    "e88377a984a5d52b9728e48271c05892";
constexpr char kGoldenLabelBytes[] =
    "000000000c7265666c75782e6c6162656c0100000004000000010c00000020c8c9cacbcccdcecfd0d1d2"
    "d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3e4e5e6e70d0000002000000002000000ff0000000000000000"
    "00000007000000010000012c000000ff";
constexpr char kGoldenSetBytes[] =
    "000000000a7265666c75782e736574010000000400000001020000002000010203040506070809"
    "0a0b0c0d0e0f101112131415161718191a1b1c1d1e1f0300000039013ff0000000000000405a00000000"
    "0000405d200000000000405e8000000000003ff00000000000003ff00000000000004000000000000000"
    "040000000f0102000000000200000008000000010700000004617370700800000001010900000001030b"
    "0000000663616d766964";

TEST(TargetKeyTest, MatchesTheGoldenBytes) {
  const Inputs in;
  EXPECT_EQ(absl::BytesToHexString(TargetKeyBytes(in.teacher, in.sample, in.spec)),
            kGoldenKeyBytes);
  EXPECT_EQ(MakeTargetKey(in.teacher, in.sample, in.spec).digest.Hex(),
            "9d1e8b42f8daa106fbfde017f46309cf4468a0437ca2ef4c335e1e680db57853");
}

LabelMap ThreeValues() {
  return {.num_classes = 2, .ignore_index = 255, .values = {{0, 0}, {7, 1}, {300, 255}}};
}

TEST(TargetKeyTest, ALabelMatchesTheGoldenBytes) {
  EXPECT_EQ(absl::BytesToHexString(LabelDigestBytes(Ascending(200), ThreeValues())),
            kGoldenLabelBytes);
}

TEST(TargetKeyTest, ReductionsMatchTheGoldenBytes) {
  Inputs in;
  in.sample.label_digest = LabelDigest(Ascending(200), ThreeValues());
  in.spec = {.tap = "aspp", .reduction = Reduction::kClassSums, .codec = Codec::kFp32};
  const std::string end = absl::HexStringToBytes(kGoldenClassSumsEnd);
  EXPECT_EQ(absl::BytesToHexString(
                absl::string_view(TargetKeyBytes(in.teacher, in.sample, in.spec)).substr(0, 213)),
            absl::string_view(kGoldenKeyBytes).substr(0, 426));
  EXPECT_EQ(TargetKeyBytes(in.teacher, in.sample, in.spec).substr(213), end);
  EXPECT_EQ(MakeTargetKey(in.teacher, in.sample, in.spec).digest.Hex(),
            "c0947bd6b6edffc193b4b593c19d54e2a192ec9abbb6811657296241d506df0c");
  in.spec = {.tap = "aspp", .reduction = MaxPool(4), .codec = Codec::kFp16};
  EXPECT_EQ(MakeTargetKey(in.teacher, in.sample, in.spec).digest.Hex(),
            "d747b6050c57ea5528dfc658c865d3819c99d0c7f20f3e60a5cd20895e786b8d");
}

TEST(TargetKeyTest, TheLabelCountsWhereAReductionReadsItAndOnlyThere) {
  Inputs before, after;
  before.sample.label_digest = LabelDigest(Ascending(200), ThreeValues());
  std::set<Digest> digests = {before.sample.label_digest};
  const auto differs = [&](const Digest& encoded, const LabelMap& map) {
    after.sample.label_digest = LabelDigest(encoded, map);
    EXPECT_TRUE(digests.insert(after.sample.label_digest).second);
    for (const Reduction reduction : {Reduction::kNone, Reduction::kClassSums, MaxPool(4)}) {
      before.spec.reduction = after.spec.reduction = reduction;
      const bool same = MakeTargetKey(before.teacher, before.sample, before.spec) ==
                        MakeTargetKey(after.teacher, after.sample, after.spec);
      EXPECT_EQ(same, reduction != Reduction::kClassSums) << Name(reduction);
    }
  };
  LabelMap map = ThreeValues();
  differs(Ascending(201), map);
  differs(Digest(), map);
  map.num_classes = 3;
  differs(Ascending(200), map);
  map = ThreeValues();
  map.ignore_index = 254;
  differs(Ascending(200), map);
  map = ThreeValues();
  map.values[7] = 0;
  differs(Ascending(200), map);
}

TEST(TargetKeyTest, TargetSetMatchesTheGoldenBytes) {
  const Inputs in;
  const TargetSet set{.dataset = "camvid", .teacher = in.teacher, .spec = in.spec, .model = "any"};
  EXPECT_EQ(absl::BytesToHexString(TargetSetBytes(set)), kGoldenSetBytes);
  EXPECT_EQ(MakeTargetSetId(set).digest.Hex(),
            "1ee22d91cc4307ce81531a79cb363430eae9e39cabc39dd999dfecb7e07a6a5c");
}

TEST(TargetKeyTest, EveryFieldOfTheIdentityCounts) {
  const std::vector<std::function<void(Inputs&)>> changes = {
      [](Inputs&) {},
      [](Inputs& in) { in.teacher.digest.bytes[31] ^= 1; },
      [](Inputs& in) { in.teacher.preprocessing.bgr = false; },
      [](Inputs& in) { in.teacher.preprocessing.divisor = 255; },
      [](Inputs& in) { in.teacher.preprocessing.mean[2] += 1e-9; },
      [](Inputs& in) { in.teacher.preprocessing.deviation[0] = 2; },
      [](Inputs& in) { in.teacher.numerics.mode = NumericsMode::kFast; },
      [](Inputs& in) { in.teacher.numerics.compute = ComputeDType::kFp32; },
      [](Inputs& in) { in.teacher.numerics.tf32 = true; },
      [](Inputs& in) { in.teacher.numerics.threads = 1; },
      [](Inputs& in) { in.teacher.numerics.batch = 4; },
      [](Inputs& in) { in.teacher.numerics.inference_revision = 2; },
      [](Inputs& in) { in.sample.digest.bytes[0] ^= 1; },
      [](Inputs& in) { in.sample.view.resized_height = 361; },
      [](Inputs& in) { in.sample.view.resized_width = 481; },
      [](Inputs& in) { in.sample.view.crop_y = 17; },
      [](Inputs& in) { in.sample.view.crop_x = 33; },
      [](Inputs& in) { in.sample.view.crop_height = 257; },
      [](Inputs& in) { in.sample.view.crop_width = 513; },
      [](Inputs& in) { in.sample.view.flip = false; },
      [](Inputs& in) { in.sample.view.decode_shrink = 2; },
      [](Inputs& in) { in.sample.view.decode_shrink = 8; },
      [](Inputs& in) { in.sample.view.flip = false, in.sample.view.decode_shrink = 2; },
      [](Inputs& in) { in.spec.tap = "logits"; },
      [](Inputs& in) { in.spec.codec = Codec::kFp32; },
      [](Inputs& in) { in.spec.codec = Compressed(Codec::kFp16); },
      [](Inputs& in) { in.spec.codec = *ParseCodec("topk:3"); },
      [](Inputs& in) { in.spec.codec = *ParseCodec("topk:4"); },
      [](Inputs& in) { in.spec.reduction = Reduction::kClassSums; },
      [](Inputs& in) { in.spec.reduction = MaxPool(2); },
      [](Inputs& in) { in.spec.reduction = MaxPool(3); }};
  std::set<TargetKey> keys;
  for (const auto& change : changes) {
    Inputs in;
    change(in);
    keys.insert(MakeTargetKey(in.teacher, in.sample, in.spec));
  }
  EXPECT_EQ(keys.size(), changes.size());
}

TEST(TargetOriginTest, ReadsWhatItWrites) {
  const Inputs in;
  TargetOrigin origin{.sample = in.sample.digest, .view = in.sample.view, .label = Ascending(7)};
  const size_t how = Digest::kSize + 6 * 4;
  for (const bool flip : {false, true}) {
    for (const int shrink : {1, 2, 4, 8}) {
      origin.view.flip = flip;
      origin.view.decode_shrink = shrink;
      const TargetOrigin read = DecodeTargetOrigin(EncodeTargetOrigin(origin)).value();
      EXPECT_EQ(read.view, origin.view);
      EXPECT_EQ(read.sample, origin.sample);
      EXPECT_EQ(read.label, origin.label);
    }
  }
  std::string bytes = EncodeTargetOrigin(origin);
  for (int value = 8; value < 256; ++value) {
    bytes[how] = static_cast<char>(value);
    EXPECT_TRUE(absl::IsInvalidArgument(DecodeTargetOrigin(bytes).status())) << value;
  }
}

TEST(TargetKeyTest, PathAndImageBytesDoNotCount) {
  Inputs in;
  const TargetKey key = MakeTargetKey(in.teacher, in.sample, in.spec);
  in.sample.locator = {"other", "elsewhere.png"};
  in.sample.image = std::make_shared<const std::string>("bytes");
  EXPECT_EQ(MakeTargetKey(in.teacher, in.sample, in.spec), key);
}

TEST(TargetKeyTest, MinusZeroIsZero) {
  Inputs in;
  in.teacher.preprocessing.mean[0] = 0.0;
  const TargetKey key = MakeTargetKey(in.teacher, in.sample, in.spec);
  in.teacher.preprocessing.mean[0] = -0.0;
  EXPECT_EQ(MakeTargetKey(in.teacher, in.sample, in.spec), key);
}

}  // namespace
}  // namespace reflux
