#include "common/targets/target_checksum.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "common/targets/target.h"

namespace reflux {
namespace {

std::string Bytes(size_t size) {
  std::string bytes(size, '\0');
  uint32_t state = 1;
  for (char& byte : bytes) byte = static_cast<char>((state = state * 1664525u + 1013904223u) >> 24);
  return bytes;
}

class RunningChecksumTest : public testing::TestWithParam<size_t> {};

TEST_P(RunningChecksumTest, IsThatOfThePiecesTogether) {
  for (const size_t size : {0u, 1u, 240u, 241u, 1024u, 65537u, 300000u}) {
    const std::string bytes = Bytes(size);
    RunningChecksum checksum;
    for (size_t at = 0; at < size; at += GetParam()) {
      checksum.Add(absl::string_view(bytes).substr(at, GetParam()));
    }
    EXPECT_EQ(checksum.value(), TargetChecksum(bytes)) << size;
  }
}

INSTANTIATE_TEST_SUITE_P(Pieces, RunningChecksumTest,
                         testing::Values(1, 63, 256, 1000, RunningChecksum::kPieceBytes));

TEST(RunningChecksumTest, ChangesWithTheLastByte) {
  std::string bytes = Bytes(100000);
  RunningChecksum before, after;
  before.Add(bytes);
  bytes.back() ^= 1;
  after.Add(bytes);
  EXPECT_NE(before.value(), after.value());
}

}  // namespace
}  // namespace reflux
