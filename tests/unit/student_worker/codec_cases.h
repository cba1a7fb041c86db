// Targets of every codec, and what their maps must be to the bit.
#pragma once

#include <gtest/gtest.h>
#include <torch/types.h>

#include <string>
#include <vector>

#include "distill/codec/target_codec.h"
#include "student_worker/target_maps.h"

namespace reflux {

inline std::vector<Codec> EveryCodec() {
  std::vector<Codec> codecs;
  for (const char* name : {"fp32", "bf16", "fp16", "int8", "topk:3"}) {
    codecs.push_back(*ParseCodec(name));
    codecs.push_back(Compressed(codecs.back()));
  }
  return codecs;
}

// [4,h,w]: channels of very different ranges, one of them constant.
inline torch::Tensor DrawnMap(uint64_t seed, int64_t height, int64_t width) {
  torch::Generator generator = at::detail::createCPUGenerator(seed);
  const torch::Tensor scale = torch::tensor({1e-7, 1.0, 3000.0, 0.0}).view({4, 1, 1});
  return torch::randn({4, height, width}, generator) * scale + 0.3 * scale + 0.1;
}

// Each finite number of a 16-bit type, subnormal ones and both zeros too: [1,1,n].
inline torch::Tensor EveryNumber(torch::ScalarType type) {
  const torch::Tensor all = torch::arange(-32768, 32768, torch::kInt16).view(type);
  return all.masked_select(torch::isfinite(all)).view({1, 1, -1});
}

inline EncodedTarget Encoded(const torch::Tensor& map, Codec codec) {
  absl::StatusOr<EncodedTarget> target = EncodeMap(map, codec);
  EXPECT_TRUE(target.ok()) << target.status();
  return *std::move(target);
}

// Of the numbers of `map`, which may be on a GPU: equal to the bit, the sign of zero included.
inline void ExpectSameBits(const torch::Tensor& map, const torch::Tensor& expected) {
  ASSERT_EQ(map.scalar_type(), expected.scalar_type());
  ASSERT_EQ(map.sizes(), expected.sizes());
  const torch::ScalarType bits =
      map.scalar_type() == torch::kFloat64 ? torch::kInt64 : torch::kInt32;
  EXPECT_TRUE(map.cpu().contiguous().view(bits).equal(expected.contiguous().view(bits)));
}

// `targets`, of one codec and shape, in `form` and widened on `device`: the numbers that the CPU
// decodes.
inline void ExpectDecodedBits(const std::vector<EncodedTarget>& targets, const BatchForm& form,
                              const torch::Device& device) {
  SCOPED_TRACE(Name(targets[0].codec));
  const auto& shape = targets[0].shape;
  const std::vector<int64_t> sizes = {static_cast<int64_t>(targets.size()), shape[0], shape[1],
                                      shape[2]};
  const torch::Tensor decoded = torch::empty(sizes);
  const TargetMaps maps = EmptyTargetMaps(targets[0].codec, sizes, form);
  EXPECT_EQ(maps.elements.is_pinned(), form.pinned);
  for (int64_t row = 0; row < sizes[0]; ++row) {
    ASSERT_TRUE(DecodeMapInto(targets[row], decoded[row]).ok());
    const absl::Status status = DecodeRow(targets[row], row, maps);
    ASSERT_TRUE(status.ok()) << status;
  }
  ExpectSameBits(Widened(maps, device, torch::kFloat32), decoded);
  ExpectSameBits(Widened(maps, device, torch::kFloat64), decoded.to(torch::kFloat64));
}

inline void ExpectEveryCodecDecodes(const BatchForm& form, const torch::Device& device) {
  for (const Codec codec : EveryCodec()) {
    ExpectDecodedBits({Encoded(DrawnMap(1, 5, 7), codec), Encoded(DrawnMap(2, 5, 7), codec)}, form,
                      device);
  }
  ExpectDecodedBits({Encoded(EveryNumber(torch::kFloat16), Codec::kFp16)}, form, device);
  ExpectDecodedBits({Encoded(EveryNumber(torch::kBFloat16), Codec::kBf16)}, form, device);
}

}  // namespace reflux
