// topk:K: what it keeps to the bit, what stands for the rest, and what it refuses.
#include "distill/codec/topk_codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"
#include "distill/codec/target_codec.h"

namespace reflux {
namespace {

using testing::HasSubstr;
using torch::Tensor;

constexpr int64_t kClasses = 7;

Tensor Logits() {
  torch::manual_seed(9);
  return torch::randn({kClasses, 5, 3}) * 4;
}

Codec Named(const std::string& name) { return *ParseCodec(name); }

Tensor Decoded(const EncodedTarget& target, torch::ScalarType type = torch::kFloat32) {
  const Tensor out = torch::full({target.shape[0], target.shape[1], target.shape[2]}, -1.0, type);
  const absl::Status status = DecodeMapInto(target, out);
  EXPECT_TRUE(status.ok()) << status;
  return out;
}

Tensor Fp16Error(const Tensor& map) { return (map.abs() / 2048).clamp_min(3e-8); }

TEST(TopKCodecTest, KeepsTheGreatestAndBoundsTheRest) {
  const Tensor map = Logits();
  for (const int64_t k : {1, 3, 6}) {
    SCOPED_TRACE(k);
    const EncodedTarget target = *EncodeMap(map, Named("topk:" + std::to_string(k)));
    EXPECT_TRUE(target.Verify().ok()) << target.Verify();
    EXPECT_EQ(static_cast<int64_t>(target.bytes.size()), 15 * (2 + 3 * k));
    const auto [sorted, order] = map.sort(0, /*descending=*/true);
    const Tensor decoded = Decoded(target).gather(0, order);
    const Tensor error = (decoded - sorted).abs();
    const Tensor kept = sorted.narrow(0, 0, k), others = sorted.narrow(0, k, kClasses - k);
    EXPECT_TRUE((error.narrow(0, 0, k) <= Fp16Error(kept)).all().item<bool>());
    const Tensor range = others.amax(0, true) - others.amin(0, true);
    const Tensor bound = range + Fp16Error(others.abs().amax(0, true));
    EXPECT_TRUE((error.narrow(0, k, kClasses - k) <= bound).all().item<bool>());
  }
}

TEST(TopKCodecTest, ProbabilitiesOfTheKeptClassesStay) {
  const Tensor map = Logits();
  const Tensor decoded = Decoded(*EncodeMap(map, Named("topk:2")));
  const auto [sorted, order] = map.sort(0, /*descending=*/true);
  const Tensor top = order.narrow(0, 0, 2);
  const Tensor expected = map.softmax(0).gather(0, top), got = decoded.softmax(0).gather(0, top);
  EXPECT_LT((expected - got).abs().max().item<double>(), 5e-3);  // float16 of logits up to 16
}

TEST(TopKCodecTest, AllClassesAreAsInFp16) {
  const Tensor map = Logits();
  EXPECT_TRUE(
      Decoded(*EncodeMap(map, Named("topk:7"))).equal(Decoded(*EncodeMap(map, Codec::kFp16))));
}

TEST(TopKCodecTest, CompressedAndDoubleHoldTheSameNumbers) {
  const EncodedTarget plain = *EncodeMap(Logits(), Named("topk:3"));  // an odd number of bytes
  const EncodedTarget compressed = *EncodeMap(Logits(), Named("topk:3+zstd"));
  ASSERT_EQ(plain.bytes.size() % 2, 1u);
  EXPECT_TRUE(compressed.Verify().ok()) << compressed.Verify();
  EXPECT_TRUE(Decoded(compressed).equal(Decoded(plain)));
  EXPECT_TRUE(Decoded(plain, torch::kFloat64).to(torch::kFloat32).equal(Decoded(plain)));
}

TEST(TopKCodecTest, OfEqualLogitsTheLowerClassIsKept) {
  const Tensor map = torch::tensor({1.0, 5.0, 5.0, 5.0}).view({4, 1, 1});
  const EncodedTarget target = *EncodeMap(map, Named("topk:2"));
  ASSERT_EQ(target.bytes.size(), 8u);
  EXPECT_EQ(target.bytes.substr(6), absl::string_view("\1\2", 2));
}

// Ties, halfway between two float16, huge and tiny: what is encoded is always read back.
TEST(TopKCodecTest, WhatIsEncodedIsNeverRefused) {
  torch::manual_seed(3);
  for (const double scale : {1e-7, 1e-3, 1.0, 100.0, 10000.0}) {
    const Tensor halfway = torch::full({kClasses, 5, 3}, scale * (1 + std::ldexp(1.0, -11)));
    for (const Tensor& map : {torch::randn({kClasses, 5, 3}) * scale, halfway, -halfway,
                              torch::randint(2, {kClasses, 5, 3}).to(torch::kFloat64) * scale}) {
      for (const int64_t k : {1, 3, 6, 7}) {
        SCOPED_TRACE(absl::StrCat("scale ", scale, ", k ", k));
        Decoded(*EncodeMap(map, Named("topk:" + std::to_string(k))));
      }
    }
  }
}

TEST(TopKCodecTest, OnlyLogitsFit) {
  const absl::Status few = EncodeMap(Logits(), Named("topk:8")).status();
  EXPECT_TRUE(absl::IsInvalidArgument(few));
  EXPECT_THAT(std::string(few.message()), HasSubstr("the map has 7 channels: use fp16"));
  EXPECT_TRUE(
      absl::IsInvalidArgument(EncodeMap(torch::zeros({257, 2, 2}), Named("topk:8")).status()));
  EXPECT_TRUE(EncodeMap(torch::zeros({256, 2, 2}), Named("topk:8")).ok());
  EXPECT_TRUE(absl::IsOutOfRange(EncodeMap(torch::full({3, 2, 2}, 1e6), Named("topk:1")).status()));
}

TEST(TopKCodecTest, DamagedOrShortValuesAreErrors) {
  const EncodedTarget whole = *EncodeMap(Logits(), Named("topk:3"));
  EncodedTarget target = whole;
  target.bytes.remove_suffix(1);
  EXPECT_TRUE(absl::IsInvalidArgument(DecodeMapInto(target, torch::empty({kClasses, 5, 3}))));
  EXPECT_TRUE(absl::IsDataLoss(target.Verify()));
  std::string bytes(whole.bytes);
  bytes.back() = static_cast<char>(kClasses);  // the first class that is not there
  target.bytes = bytes;
  EXPECT_TRUE(absl::IsDataLoss(target.Verify()));
  const absl::Status status = DecodeMapInto(target, torch::empty({kClasses, 5, 3}));
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("a class is not below"));
}

}  // namespace
}  // namespace reflux
