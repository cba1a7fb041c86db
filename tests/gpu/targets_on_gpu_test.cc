// Targets that travel as they are stored: on the GPU they are what the CPU decodes, to the bit. And
// targets that the GPU encodes are those of the CPU.
#include <ATen/Parallel.h>

#include <limits>

#include "common/base/ordered_prefetcher.h"
#include "distill/teacher/reduce_map.h"
#include "tests/gpu/on_gpu.h"
#include "tests/unit/student_worker/batch_scene.h"

namespace reflux {
namespace {

class TargetsOnGpu : public OnGpu {};

TEST_F(TargetsOnGpu, OfEveryCodecAreTheDecodedBits) {
  ExpectEveryCodecDecodes(FormFor(device_), device_);
}

TEST_F(TargetsOnGpu, DecodedByTheCpuAreItsBitsToo) {
  ExpectEveryCodecDecodes({.pinned = device_.is_cuda()}, device_);
}

// What is rounded element by element has the same bits; the rest of topk is a sum of exponentials,
// which may be rounded to the next float16.
TEST_F(TargetsOnGpu, EncodedThereHaveTheBytesOfTheCpu) {
  for (const Codec codec : EveryCodec()) {
    SCOPED_TRACE(Name(codec));
    const torch::Tensor map = DrawnMap(3, 5, 7);
    const EncodedTarget here = Encoded(map, codec), there = Encoded(map.to(device_), codec);
    EXPECT_TRUE(there.Verify().ok()) << there.Verify();
    ASSERT_EQ(there.shape, here.shape);
    if (TopK(Uncompressed(codec)) == 0) {
      EXPECT_EQ(there.bytes, here.bytes);
      continue;
    }
    const torch::Tensor a = torch::empty({4, 5, 7}), b = torch::empty({4, 5, 7});
    ASSERT_TRUE(DecodeMapInto(here, a).ok() && DecodeMapInto(there, b).ok());
    EXPECT_LT(Difference(b, a), 1e-3);
  }
}

TEST_F(TargetsOnGpu, ReducedThereAreThoseOfTheCpu) {
  const torch::Tensor map = DrawnMap(4, 6, 8);
  const MapLabel label{.classes = torch::arange(48 * 64).view({48, 64}).remainder(4),
                       .num_classes = 3,
                       .ignore_index = 3};
  for (const char* name : {"class_sums", "max_pool:2"}) {
    SCOPED_TRACE(name);
    const Reduction reduction = *ParseReduction(name);
    const auto here = ReduceMap(map, reduction, label);
    const auto there = ReduceMap(map.to(device_), reduction, label);
    ASSERT_TRUE(here.ok() && there.ok());
    EXPECT_EQ(there->device().type(), device_.type());
    EXPECT_LT(Difference(*there, *here), 1e-6);
  }
}

TEST_F(TargetsOnGpu, WithoutAFiniteValueAreRefusedThere) {
  torch::Tensor map = DrawnMap(5, 5, 7).to(device_);
  map[1][2][3] = std::numeric_limits<float>::quiet_NaN();
  for (const Codec codec : EveryCodec()) {
    EXPECT_TRUE(absl::IsOutOfRange(EncodeMap(map, codec).status())) << Name(codec);
  }
}

// Pinned memory of a batch that is gone is given to a later one: not before it was copied.
TEST_F(TargetsOnGpu, AreNotOverwrittenWhileTheyAreCopied) {
  constexpr int64_t kSteps = 12;
  BatchScene scene("targets_on_gpu", /*stride=*/1, /*channels=*/256);
  const auto maker = scene.Maker(FormFor(device_)), wide = scene.Maker({});
  OrderedPrefetcher<Batch> batches(
      {.end = kSteps, .depth = 4, .threads = 2},
      [&](int64_t step, const std::shared_ptr<Cancellation>& cancellation) {
        at::set_num_threads(1);
        return maker->Make(step, cancellation);
      });
  std::vector<DeviceBatch> sent;
  for (int64_t step = 0; step < kSteps; ++step) {
    const absl::StatusOr<Batch> batch = batches.Next();
    ASSERT_TRUE(batch.ok()) << batch.status();
    EXPECT_EQ(batch->images.is_pinned(), device_.is_cuda());
    sent.push_back(OnDevice(*batch, device_));
  }
  for (int64_t step = 0; step < kSteps; ++step) {
    SCOPED_TRACE(step);
    ExpectSameBits(sent[step], OnDevice(*wide->Make(step, nullptr), torch::kCPU));
  }
}

}  // namespace
}  // namespace reflux
