// Values to numbers without torch, against bytes written out by hand. That it agrees with the
// codec of the students is tested beside that (tests/unit/distill/codec).
#include "common/targets/decode_value.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "common/targets/target_tensor.h"
#include "common/targets/zstd_value.h"

namespace reflux {
namespace {

using ::testing::ElementsAre;

template <typename T>
std::string Bytes(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

EncodedTarget Target(std::string bytes, Codec codec, std::array<int32_t, 3> shape) {
  return EncodedTarget::FromBytes(std::move(bytes), StoredDType(codec), codec, shape);
}

TEST(HalfToFloatTest, KnowsEveryKindOfNumber) {
  EXPECT_EQ(HalfToFloat(0x0000), 0.0f);
  EXPECT_TRUE(std::signbit(HalfToFloat(0x8000)));
  EXPECT_EQ(HalfToFloat(0x3c00), 1.0f);
  EXPECT_EQ(HalfToFloat(0xc000), -2.0f);
  EXPECT_EQ(HalfToFloat(0x7bff), 65504.0f);
  EXPECT_EQ(HalfToFloat(0x0001), std::ldexp(1.0f, -24));  // the least subnormal
  EXPECT_EQ(HalfToFloat(0x03ff), std::ldexp(1023.0f, -24));
  EXPECT_EQ(HalfToFloat(0x0400), std::ldexp(1.0f, -14));
  EXPECT_TRUE(std::isinf(HalfToFloat(0x7c00)));
  EXPECT_TRUE(std::isnan(HalfToFloat(0x7c01)));
}

TEST(DecodeValueTest, ReadsElementsAsTheyAreStored) {
  EXPECT_THAT(*DecodeValue(Target(Bytes<float>({1.5f, -2}), Codec::kFp32, {1, 1, 2})),
              ElementsAre(1.5f, -2.0f));
  EXPECT_THAT(*DecodeValue(Target(Bytes<uint16_t>({0x3fc0, 0xc000}), Codec::kBf16, {2, 1, 1})),
              ElementsAre(1.5f, -2.0f));
  EXPECT_THAT(*DecodeValue(Target(Bytes<uint16_t>({0x3e00, 0xc000}), Codec::kFp16, {2, 1, 1})),
              ElementsAre(1.5f, -2.0f));
}

TEST(DecodeValueTest, ScalesInt8ChannelByChannel) {
  const std::string bytes =
      Bytes<float>({0.5f, 10, 2, -1}) + Bytes<int8_t>({-2, 127, 0, 1});  // steps and middles first
  EXPECT_THAT(*DecodeValue(Target(bytes, Codec::kInt8, {2, 1, 2})),
              ElementsAre(9.0f, 73.5f, -1.0f, 1.0f));
}

TEST(DecodeValueTest, PutsTheKeptLogitsOverTheRest) {
  const Codec codec = *ParseCodec("topk:2");
  // Two positions. Rest 1, 0; greatest 2 (class 2), 1.5 (class 0); next 1.5 (class 0), 1 (class 1).
  const std::string bytes = Bytes<uint16_t>({0x3c00, 0, 0x4000, 0x3e00, 0x3e00, 0x3c00}) +
                            std::string("\x02\x00\x00\x01", 4);
  EXPECT_THAT(*DecodeValue(Target(bytes, codec, {3, 1, 2})),
              ElementsAre(1.5f, 1.5f, 1.0f, 1.0f, 2.0f, 0.0f));
  std::string hostile = bytes;
  hostile.back() = '\x03';
  EXPECT_TRUE(absl::IsDataLoss(DecodeValue(Target(hostile, codec, {3, 1, 2})).status()));
}

// What one position says: the halves of rest and logits, and the classes.
absl::Status TopKStatus(const std::vector<uint16_t>& halves, const std::vector<uint8_t>& classes,
                        int32_t channels) {
  const Codec codec = *ParseCodec("topk:" + std::to_string(classes.size()));
  return DecodeValue(Target(Bytes(halves) + Bytes(classes), codec, {channels, 1, 1})).status();
}

TEST(DecodeValueTest, RefusesTopKThatNoLogitsGive) {
  const uint16_t one = 0x3c00, two = 0x4000, minus_one = 0xbc00, minus_two = 0xc000,
                 infinite = 0x7c00, nan = 0x7e00;
  EXPECT_TRUE(TopKStatus({one, two, one}, {2, 0}, 4).ok());
  EXPECT_TRUE(TopKStatus({minus_two, minus_one, minus_two}, {2, 0}, 4).ok());
  EXPECT_TRUE(TopKStatus({0x8001, 0x0000, 0x8000}, {2, 0}, 4).ok());  // both zeros are one number
  EXPECT_TRUE(TopKStatus({0, two, one}, {1, 0}, 2).ok());             // there are no others
  // Equal logits, whose mean was rounded up.
  EXPECT_TRUE(TopKStatus({one + 1, one, one}, {0, 1}, 4).ok());
  const auto refused = [](const std::vector<uint16_t>& halves, const std::vector<uint8_t>& classes,
                          int32_t channels, const char* why) {
    const absl::Status status = TopKStatus(halves, classes, channels);
    EXPECT_TRUE(absl::IsDataLoss(status)) << status;
    EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr(why));
  };
  refused({one, two, one}, {2, 2}, 4, "twice");
  refused({one, two, one}, {0, 255}, 4, "not below");
  refused({one, two, one}, {4, 0}, 4, "not below");
  refused({one, two, one, one}, {1, 0, 1}, 2, "twice");  // more than there are
  refused({one, one, two}, {2, 0}, 4, "falling");
  refused({minus_two, minus_two, minus_one}, {2, 0}, 4, "falling");
  refused({one, infinite, one}, {2, 0}, 4, "falling");
  refused({one, two, nan}, {2, 0}, 4, "falling");
  refused({one, two, 0xfe00}, {2, 0}, 4, "finite");
  refused({one + 2, two, one}, {2, 0}, 4, "above");
  refused({nan, two, one}, {2, 0}, 4, "above");
  refused({0xfc00, two, one}, {2, 0}, 4, "above");
  refused({one, two, one}, {1, 0}, 2, "above");
}

TEST(DecodeValueTest, UndoesCompressionAndRefusesAWrongFrame) {
  const std::string value = Bytes<uint16_t>({0x3e00, 0xc000, 0x3c00});
  const Codec codec = Compressed(Codec::kFp16);
  const std::string frame = *CompressValue(value, 2);
  EXPECT_THAT(*DecodeValue(Target(frame, codec, {3, 1, 1})), ElementsAre(1.5f, -2.0f, 1.0f));
  EXPECT_EQ(Decompress(Target(frame, codec, {3, 1, 1}))->bytes, value);
  EXPECT_TRUE(absl::IsDataLoss(DecodeValue(Target(frame, codec, {4, 1, 1})).status()));
  EXPECT_TRUE(absl::IsDataLoss(DecodeValue(Target("no frame", codec, {4, 1, 1})).status()));
}

TEST(DecodeValueTest, RefusesBytesThatAreNotTheirs) {
  EncodedTarget target = Target(Bytes<float>({1, 2}), Codec::kFp32, {1, 1, 2});
  target.shape = {1, 1, 3};
  EXPECT_TRUE(absl::IsDataLoss(DecodeValue(target).status()));
}

TEST(ToTensorTest, KeepsFloatsAndDecodesTheRest) {
  const std::string halves = Bytes<uint16_t>({0x3e00, 0xc000});
  const auto half = ToTensor(Target(halves, Codec::kFp16, {2, 1, 1}));
  EXPECT_EQ(half->dtype, "F16");
  EXPECT_EQ(half->bytes(), halves);
  const auto eight =
      ToTensor(Target(Bytes<float>({0.5f, 10}) + std::string("\xfe\x7f"), Codec::kInt8, {1, 1, 2}));
  EXPECT_EQ(eight->dtype, "F32");
  EXPECT_EQ(eight->bytes(), Bytes<float>({9, 73.5f}));
}

}  // namespace
}  // namespace reflux
