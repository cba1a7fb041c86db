#include "bench/target_values.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/digest.h"

namespace reflux {
namespace {

const TargetSpec kSpec = {.tap = "aspp", .codec = Codec::kFp16};

TeacherIdentity BenchTeacher() { return {.digest = Sha256::Of("a teacher")}; }

constexpr size_t kCacheLine = 64, kHugePage = size_t{2} << 20;

char* MakeBlock(size_t bytes, BatchRows::Pages pages) {
  const size_t unit = pages == BatchRows::Pages::kFreshHuge ? kHugePage : kCacheLine;
  const size_t size = (bytes + unit - 1) / unit * unit;
  void* block = std::aligned_alloc(unit, size);
  // A system that has none goes on with plain pages.
  if (pages == BatchRows::Pages::kFreshHuge) madvise(block, size, MADV_HUGEPAGE);
  if (pages == BatchRows::Pages::kTouched) std::memset(block, 0, size);
  return static_cast<char*>(block);
}

}  // namespace

// A cheap sequence of words; what they are does not matter to readers.
EncodedTarget BenchValue(const StoredValues& values, int number) {
  std::string bytes(static_cast<size_t>(values.value_bytes()), '\0');
  uint64_t state = 0x9e3779b97f4a7c15u * static_cast<uint64_t>(number + 1);
  for (size_t at = 0; at + 8 <= bytes.size(); at += 8) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    std::memcpy(bytes.data() + at, &state, 8);
  }
  return EncodedTarget::FromBytes(std::move(bytes), DType::kFloat16, Codec::kFp16, values.shape);
}

TargetRequest BenchRequest(const std::vector<int>& numbers) {
  TargetRequest request{.teacher = BenchTeacher(), .specs = {kSpec}};
  for (const int number : numbers) {
    SampleRef sample;
    sample.digest = Sha256::Of(absl::StrCat("image ", number));
    sample.view.resized_height = sample.view.crop_height = 360;
    sample.view.resized_width = sample.view.crop_width = 480;
    sample.locator = {"bench", absl::StrCat(number, ".png")};
    request.samples.push_back(std::move(sample));
  }
  return request;
}

std::vector<TargetKey> BenchKeys(int count) {
  std::vector<TargetKey> keys;
  for (int number = 0; number < count; ++number) {
    const TargetRequest request = BenchRequest({number});
    keys.push_back(MakeTargetKey(request.teacher, request.samples[0], request.specs[0]));
  }
  return keys;
}

TargetSet BenchSet() {
  return {.dataset = "bench", .teacher = BenchTeacher(), .spec = kSpec, .model = "bench"};
}

void BatchRows::Free::operator()(char* block) const { std::free(block); }

BatchRows::BatchRows(int rows, int64_t row_bytes, Pages pages)
    : rows_(rows),
      row_bytes_(row_bytes),
      block_(MakeBlock(static_cast<size_t>(rows * row_bytes), pages)) {}

}  // namespace reflux
