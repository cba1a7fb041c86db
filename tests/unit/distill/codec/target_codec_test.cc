// Every codec: its error bound, what it refuses, and that a decoded map is what the bytes say.
#include "distill/codec/target_codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "common/targets/decode_value.h"

namespace reflux {
namespace {

using testing::HasSubstr;
using torch::Tensor;

constexpr Codec kPlain[] = {Codec::kFp32, Codec::kBf16, Codec::kFp16, Codec::kInt8};
const std::vector<Codec> kCodecs = [] {
  std::vector<Codec> codecs(std::begin(kPlain), std::end(kPlain));
  for (const Codec codec : kPlain) codecs.push_back(Compressed(codec));
  return codecs;
}();

// Channels of very different ranges, one of them constant.
Tensor Map() {
  torch::manual_seed(5);
  const Tensor scale = torch::tensor({1e-3, 1.0, 40.0, 2000.0}, torch::kFloat64).view({4, 1, 1});
  const Tensor map = torch::randn({4, 6, 7}, torch::kFloat64) * scale + 0.5 * scale;
  return torch::cat({map, torch::full({1, 6, 7}, 3.25, torch::kFloat64)}).to(torch::kFloat32);
}

Tensor Decoded(const EncodedTarget& target, torch::ScalarType type = torch::kFloat32) {
  const Tensor out = torch::full({target.shape[0], target.shape[1], target.shape[2]}, -1.0, type);
  EXPECT_TRUE(DecodeMapInto(target, out).ok());
  return out;
}

// The largest error that target_codec.h promises for each element.
Tensor Bound(const Tensor& map, Codec codec) {
  switch (Uncompressed(codec)) {
    case Codec::kFp32:
      return torch::zeros_like(map);
    case Codec::kBf16:
      return map.abs() / 256;
    case Codec::kFp16:
      return (map.abs() / 2048).clamp_min(3e-8);
    case Codec::kInt8:
      break;
  }
  const Tensor rows = map.flatten(1);
  const Tensor range = (rows.amax(1) - rows.amin(1)).view({-1, 1, 1});
  return (range / 508).expand_as(map) + map.abs() * 1e-6;
}

TEST(TargetCodecTest, ErrorsStayWithinTheirBounds) {
  const Tensor map = Map();
  for (const Codec codec : kCodecs) {
    SCOPED_TRACE(Name(codec));
    const auto target = EncodeMap(map, codec);
    ASSERT_TRUE(target.ok()) << target.status();
    EXPECT_TRUE(target->Verify().ok()) << target->Verify();
    EXPECT_TRUE(((Decoded(*target) - map).abs() <= Bound(map, codec)).all().item<bool>());
    EXPECT_TRUE(Decoded(*target)[4].equal(map[4])) << "a constant channel is exact";
  }
}

TEST(TargetCodecTest, ClientsWithoutTorchDecodeTheSameNumbers) {
  std::vector<Codec> codecs = kCodecs;
  for (const char* name : {"topk:1", "topk:5", "topk:3+zstd"}) codecs.push_back(*ParseCodec(name));
  for (const Codec codec : codecs) {
    const EncodedTarget target = *EncodeMap(Map(), codec);
    const auto values = DecodeValue(target);
    ASSERT_TRUE(values.ok()) << values.status();
    const Tensor map = Decoded(target).flatten();
    EXPECT_EQ(*values,
              std::vector<float>(map.data_ptr<float>(), map.data_ptr<float>() + map.numel()))
        << Name(codec);
  }
}

TEST(TargetCodecTest, DoubleSlotsHoldTheSameNumbers) {
  for (const Codec codec : kCodecs) {
    const EncodedTarget target = *EncodeMap(Map(), codec);
    const Tensor wide = Decoded(target, torch::kFloat64);
    EXPECT_TRUE(wide.to(torch::kFloat32).equal(Decoded(target))) << Name(codec);
  }
}

TEST(TargetCodecTest, BytesAreTheElementsAndTheScales) {
  const int64_t elements = Map().numel();
  EXPECT_EQ(EncodeMap(Map(), Codec::kFp32)->bytes.size(), elements * 4);
  EXPECT_EQ(EncodeMap(Map(), Codec::kFp16)->bytes.size(), elements * 2);
  EXPECT_EQ(EncodeMap(Map(), Codec::kInt8)->bytes.size(), elements + 5 * 8);
}

TEST(TargetCodecTest, WhatIsNotFiniteIsRefused) {
  for (const Codec codec : kCodecs) {
    for (const double bad :
         {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
      Tensor map = Map();
      map[1][2][3] = bad;
      EXPECT_THAT(std::string(EncodeMap(map, codec).status().message()),
                  HasSubstr("has NaN or Inf"));
    }
  }
}

TEST(TargetCodecTest, WhatACodecCannotHoldIsRefusedWithAnother) {
  const Tensor map = torch::full({1, 2, 2}, 1e6);
  EXPECT_THAT(std::string(EncodeMap(map, Codec::kFp16).status().message()),
              HasSubstr("codec fp16 cannot hold the map's largest value 1e+06: use bf16 or fp32"));
  const Tensor wide = torch::tensor({-1e300, 1e300}, torch::kFloat64).view({1, 1, 2});
  EXPECT_TRUE(absl::IsOutOfRange(EncodeMap(wide, Codec::kInt8).status()));
}

TEST(TargetCodecTest, AnotherShapeOrAShortValueIsRefused) {
  for (const Codec codec : kCodecs) {
    EncodedTarget target = *EncodeMap(Map(), codec);
    EXPECT_TRUE(absl::IsInvalidArgument(DecodeMapInto(target, torch::empty({5, 7, 6}))));
    target.bytes.remove_suffix(1);
    const absl::Status status = DecodeMapInto(target, torch::empty({5, 6, 7}));
    EXPECT_TRUE(IsCompressed(codec) ? absl::IsDataLoss(status) : absl::IsInvalidArgument(status));
    EXPECT_TRUE(absl::IsDataLoss(target.Verify()));
  }
}

// Smooth, as maps are: what zstd is for.
Tensor SmoothMap() {
  const Tensor line = torch::linspace(-2, 2, 64);
  return torch::stack({line.view({64, 1}) * line, line.view({1, 64}).expand({64, 64}).exp()});
}

TEST(TargetCodecTest, CompressedTargetsHoldTheSameNumbersInFewerBytes) {
  for (const Codec codec : kPlain) {
    SCOPED_TRACE(Name(codec));
    const EncodedTarget plain = *EncodeMap(SmoothMap(), codec);
    const EncodedTarget compressed = *EncodeMap(SmoothMap(), Compressed(codec));
    EXPECT_TRUE(compressed.Verify().ok()) << compressed.Verify();
    EXPECT_LT(compressed.bytes.size(), plain.bytes.size());
    EXPECT_EQ(compressed.dtype, plain.dtype);
    EXPECT_TRUE(Decoded(compressed).equal(Decoded(plain)));
  }
}

TEST(TargetCodecTest, NoiseGrowsLessThanItsBound) {
  torch::manual_seed(6);
  const Tensor noise = torch::randn({3, 40, 50});
  for (const Codec codec : kPlain) {
    const EncodedTarget target = *EncodeMap(noise, Compressed(codec));
    EXPECT_LE(static_cast<int64_t>(target.bytes.size()), MaxValueBytes(target.codec, target.shape));
  }
}

// The checksum would catch these: here the decoder stands alone.
TEST(TargetCodecTest, EveryShortFrameIsDataLoss) {
  const EncodedTarget whole = *EncodeMap(SmoothMap(), Compressed(Codec::kFp16));
  for (size_t size = 0; size < whole.bytes.size(); size += 7) {
    EncodedTarget target = whole;
    target.bytes = whole.bytes.substr(0, size);
    EXPECT_TRUE(absl::IsDataLoss(DecodeMapInto(target, torch::empty({2, 64, 64})))) << size;
  }
}

TEST(TargetCodecTest, DamagedFramesNeverCrash) {
  const EncodedTarget whole = *EncodeMap(SmoothMap(), Compressed(Codec::kFp32));
  Tensor out = torch::empty({2, 64, 64});
  int refused = 0;
  for (size_t i = 0; i < whole.bytes.size(); i += 11) {
    std::string bytes(whole.bytes);
    bytes[i] = static_cast<char>(~bytes[i]);
    EncodedTarget target = whole;
    target.bytes = bytes;
    EXPECT_TRUE(absl::IsDataLoss(target.Verify()));
    const absl::Status status = DecodeMapInto(target, out);
    EXPECT_TRUE(status.ok() || absl::IsDataLoss(status)) << status;
    refused += status.ok() ? 0 : 1;
  }
  EXPECT_GT(refused, 0);
}

TEST(TargetCodecTest, AFrameOfAnotherSizeIsRefusedUnread) {
  EncodedTarget target = *EncodeMap(torch::zeros({1, 512, 512}), Compressed(Codec::kFp32));
  ASSERT_LT(target.bytes.size(), 1000u);
  target.shape = {1, 64, 64};
  const absl::Status status = DecodeMapInto(target, torch::empty({1, 64, 64}));
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("the frame does not hold 16384 bytes"));
}

TEST(TargetCodecTest, CodecAndTypeBelongTogether) {
  EncodedTarget target = *EncodeMap(Map(), Codec::kBf16);
  target.codec = Codec::kFp16;
  EXPECT_THAT(std::string(target.Verify().message()), HasSubstr("fp16 does not store bfloat16"));
}

}  // namespace
}  // namespace reflux
