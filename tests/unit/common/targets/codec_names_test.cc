// Codecs by name and by byte: what is written in a job, a key and a record.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "common/targets/codec.h"

namespace reflux {
namespace {

using testing::HasSubstr;

TEST(CodecNamesTest, EveryByteIsANameAndBackOrNoCodec) {
  int codecs = 0;
  for (int byte = -1; byte <= 300; ++byte) {
    if (!IsCodec(byte)) continue;
    ++codecs;
    const auto codec = static_cast<Codec>(byte);
    const auto parsed = ParseCodec(Name(codec));
    ASSERT_TRUE(parsed.ok()) << byte << ": " << parsed.status();
    EXPECT_EQ(*parsed, codec);
  }
  EXPECT_EQ(codecs, 2 * (4 + 63));
}

// Stored in keys and records: they never change.
TEST(CodecNamesTest, TheBytesAreFixed) {
  EXPECT_EQ(static_cast<int>(*ParseCodec("fp32")), 1);
  EXPECT_EQ(static_cast<int>(*ParseCodec("int8")), 4);
  EXPECT_EQ(static_cast<int>(*ParseCodec("fp16+zstd")), 131);
  EXPECT_EQ(static_cast<int>(*ParseCodec("topk:1")), 65);
  EXPECT_EQ(static_cast<int>(*ParseCodec("topk:63+zstd")), 255);
}

TEST(CodecNamesTest, CompressionIsPutOnAndTakenOff) {
  const Codec compressed = Compressed(Codec::kBf16);
  EXPECT_TRUE(IsCompressed(compressed));
  EXPECT_FALSE(IsCompressed(Codec::kBf16));
  EXPECT_EQ(Compressed(compressed), compressed);
  EXPECT_EQ(Uncompressed(compressed), Codec::kBf16);
  EXPECT_EQ(StoredDType(compressed), DType::kBFloat16);
}

TEST(CodecNamesTest, OnlyTopKHasAK) {
  EXPECT_EQ(TopK(*ParseCodec("topk:5")), 5);
  EXPECT_EQ(TopK(*ParseCodec("topk:5+zstd")), 5);
  EXPECT_EQ(TopK(Compressed(Codec::kInt8)), 0);
}

TEST(CodecNamesTest, SizesAreThoseOfTheShape) {
  EXPECT_EQ(UncompressedBytes(Codec::kFp32, {3, 5, 7}), 420);
  EXPECT_EQ(UncompressedBytes(Codec::kInt8, {3, 5, 7}), 105 + 24);
  EXPECT_EQ(UncompressedBytes(*ParseCodec("topk:2"), {3, 5, 7}), 35 * (2 + 4 + 2));
  EXPECT_EQ(MaxValueBytes(Codec::kFp16, {3, 5, 7}), 210);
  EXPECT_GT(MaxValueBytes(Compressed(Codec::kFp16), {3, 5, 7}), 210);
  // No overflow at the largest map of the widest element.
  EXPECT_EQ(UncompressedBytes(Codec::kFp32, {1, 1 << 15, 1 << 15}), int64_t{1} << 32);
}

TEST(CodecNamesTest, UnknownNamesAreRefusedWithTheKnown) {
  for (const std::string name : {"", "fp8", "FP16", "fp16+gzip", "+zstd", "fp16+zstd+zstd", "topk",
                                 "topk:0", "topk:64", "topk:04", "topk: 4", "topk:-1"}) {
    const absl::Status status = ParseCodec(name).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << name;
    EXPECT_THAT(std::string(status.message()), HasSubstr("fp32, bf16, fp16, int8")) << name;
  }
}

}  // namespace
}  // namespace reflux
