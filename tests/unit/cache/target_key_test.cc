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
  Digest labels;
};

// The bytes of docs/cache_format.md, written by an independent program.
constexpr char kGoldenKeyBytes[] =
    "000000000d7265666c75782e746172676574010000000400000001020000002000010203040506070809"
    "0a0b0c0d0e0f101112131415161718191a1b1c1d1e1f0300000039013ff0000000000000405a00000000"
    "0000405d200000000000405e8000000000003ff00000000000003ff00000000000004000000000000000"
    "040000000f01020000000002000000080000000105000000206465666768696a6b6c6d6e6f7071727374"
    "75767778797a7b7c7d7e7f80818283060000001900000168000001e00000001000000020000001000000"
    "0200010700000004617370700800000001010900000001030a00000000";
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
      [](Inputs& in) { in.spec.tap = "logits"; },
      [](Inputs& in) { in.spec.codec = Codec::kFp32; },
      [](Inputs& in) { in.spec.codec = Compressed(Codec::kFp16); },
      [](Inputs& in) { in.spec.codec = *ParseCodec("topk:3"); },
      [](Inputs& in) { in.spec.codec = *ParseCodec("topk:4"); },
      [](Inputs& in) { in.labels.bytes[0] = 1; }};
  std::set<TargetKey> keys;
  for (const auto& change : changes) {
    Inputs in;
    change(in);
    keys.insert(MakeTargetKey(in.teacher, in.sample, in.spec, in.labels));
  }
  EXPECT_EQ(keys.size(), changes.size());
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
