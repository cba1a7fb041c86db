// Targets that travel as they are stored: on the GPU they are what the CPU decodes, to the bit.
#include <ATen/Parallel.h>

#include "common/base/ordered_prefetcher.h"
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
