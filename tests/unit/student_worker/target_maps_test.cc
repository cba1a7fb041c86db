// Maps that wait as they are stored widen to what is decoded from them, and take fewer bytes.
#include "student_worker/target_maps.h"

#include <cstring>

#include "tests/unit/student_worker/codec_cases.h"

namespace reflux {
namespace {

constexpr BatchForm kNarrow = {.narrow = true};

TEST(TargetMapsTest, BothFormsHoldTheDecodedBits) {
  ExpectEveryCodecDecodes({}, torch::kCPU);
  ExpectEveryCodecDecodes(kNarrow, torch::kCPU);
}

TEST(TargetMapsTest, NarrowOnesTakeTheBytesThatAreStored) {
  const auto bytes = [](const char* codec) {
    const TargetMaps maps = EmptyTargetMaps(*ParseCodec(codec), {2, 3, 4, 5}, kNarrow);
    return maps.elements.nbytes() + (maps.scales.defined() ? maps.scales.nbytes() : 0);
  };
  EXPECT_EQ(bytes("fp16"), 240u);
  EXPECT_EQ(bytes("bf16+zstd"), 240u);
  EXPECT_EQ(bytes("int8"), 120u + 48u);
  EXPECT_EQ(bytes("fp32"), 480u);
  EXPECT_EQ(bytes("topk:2"), 480u);
  EXPECT_EQ(EmptyTargetMaps(Codec::kFp16, {2, 3, 4, 5}, {}).elements.nbytes(), 480u);
}

TEST(TargetMapsTest, BytesThatARowHoldsAsStoredMayBeWrittenThere) {
  std::vector<std::string> placed;
  for (const bool narrow : {false, true}) {
    for (const Codec codec : EveryCodec()) {
      SCOPED_TRACE(Name(codec));
      const BatchForm form{.narrow = narrow};
      EncodedTarget target = Encoded(DrawnMap(1, 5, 7), codec);
      const TargetMaps maps = EmptyTargetMaps(codec, {2, 4, 5, 7}, form);
      char* place = PlaceOfRow(target, target.bytes.size(), 1, maps);
      if (place == nullptr) continue;
      placed.push_back((narrow ? "narrow " : "wide ") + Name(codec));
      EXPECT_EQ(PlaceOfRow(target, target.bytes.size() - 2, 1, maps), nullptr);
      std::memcpy(place, target.bytes.data(), target.bytes.size());
      target.bytes = {place, target.bytes.size()};
      ASSERT_TRUE(DecodeRow(target, 1, maps).ok());
      const TargetMaps copied = EmptyTargetMaps(codec, {2, 4, 5, 7}, form);
      ASSERT_TRUE(DecodeRow(Encoded(DrawnMap(1, 5, 7), codec), 1, copied).ok());
      ExpectSameBits(Widened(maps, torch::kCPU, torch::kFloat32)[1],
                     Widened(copied, torch::kCPU, torch::kFloat32)[1]);
    }
  }
  EXPECT_EQ(placed,
            (std::vector<std::string>{"wide fp32", "narrow fp32", "narrow bf16", "narrow fp16"}));
}

TEST(TargetMapsTest, AnotherShapeOrAShortValueIsRefused) {
  for (const Codec codec : EveryCodec()) {
    SCOPED_TRACE(Name(codec));
    EncodedTarget target = Encoded(DrawnMap(1, 5, 7), codec);
    const TargetMaps other = EmptyTargetMaps(codec, {1, 4, 7, 5}, kNarrow);
    EXPECT_TRUE(absl::IsInvalidArgument(DecodeRow(target, 0, other)));
    target.bytes.remove_suffix(1);
    const absl::Status status = DecodeRow(target, 0, EmptyTargetMaps(codec, {1, 4, 5, 7}, kNarrow));
    EXPECT_TRUE(IsCompressed(codec) ? absl::IsDataLoss(status) : absl::IsInvalidArgument(status));
  }
}

TEST(TargetMapsTest, OnlyInt8GoesToInt8) {
  const EncodedTarget target = Encoded(DrawnMap(1, 5, 7), Codec::kFp16);
  const TargetMaps maps = EmptyTargetMaps(Codec::kInt8, {1, 4, 5, 7}, kNarrow);
  EXPECT_TRUE(absl::IsInvalidArgument(DecodeRow(target, 0, maps)));
}

TEST(BatchMemoryTest, OfTheCpuIsAsEver) {
  EXPECT_FALSE(FormFor(torch::kCPU).narrow || FormFor(torch::kCPU).pinned);
  EXPECT_TRUE(FormFor(torch::kCUDA).narrow && FormFor(torch::kCUDA).pinned);
  EXPECT_EQ(HostBytes(1000, {}), 1000);
  EXPECT_EQ(HostBytes(1000, {.pinned = true}), 1024);
  EXPECT_EQ(HostBytes(1024, {.pinned = true}), 1024);
}

TEST(BatchMemoryTest, WithoutAGpuNothingIsPinned) {
  const torch::Tensor memory = EmptyHost({2, 3}, torch::kFloat16, {.pinned = true});
  EXPECT_FALSE(memory.is_pinned());
  EXPECT_EQ(memory.nbytes(), 12u);
}

}  // namespace
}  // namespace reflux
