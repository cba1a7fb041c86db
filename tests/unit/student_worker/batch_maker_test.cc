// A batch is the same in both forms, to the bit.
#include "student_worker/batch_maker.h"

#include "tests/unit/student_worker/batch_scene.h"

namespace reflux {
namespace {

torch::ScalarType TypeOf(const Batch& batch, const std::string& name) {
  return batch.targets.at("default").at(name).elements.scalar_type();
}

void ExpectSameBatches(const BatchMaker& maker, const BatchMaker& reference) {
  for (int64_t step = 0; step < 3; ++step) {
    const absl::StatusOr<Batch> batch = maker.Make(step, nullptr);
    const absl::StatusOr<Batch> expected = reference.Make(step, nullptr);
    ASSERT_TRUE(batch.ok()) << batch.status();
    ASSERT_TRUE(expected.ok()) << expected.status();
    EXPECT_EQ(batch->target_bytes, expected->target_bytes);
    EXPECT_EQ(TypeOf(*batch, "tap_fp16"), maker.form().narrow ? torch::kFloat16 : torch::kFloat32);
    EXPECT_EQ(TypeOf(*expected, "tap_fp16"), torch::kFloat32);
    ExpectSameBits(OnDevice(*batch, torch::kCPU), OnDevice(*expected, torch::kCPU));
  }
}

TEST(BatchMakerTest, NarrowBatchesWidenToTheOthers) {
  BatchScene scene("batch_maker", /*stride=*/8, /*channels=*/4);
  const auto narrow = scene.Maker({.narrow = true});
  EXPECT_TRUE(narrow->form().narrow);
  ExpectSameBatches(*narrow, *scene.Maker({}));
}

TEST(BatchMakerTest, DerivedMapsAreNeverNarrow) {
  BatchScene scene("batch_maker_whole", /*stride=*/8, /*channels=*/4);
  const auto narrow = scene.Maker({.narrow = true}, /*whole=*/true);
  EXPECT_FALSE(narrow->form().narrow);
  ExpectSameBatches(*narrow, *scene.Maker({}, /*whole=*/true));
}

}  // namespace
}  // namespace reflux
