#include "common/targets/located_target.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace reflux {
namespace {

constexpr uint64_t kBefore = 22;  // bytes in the file before the target

class LocatedTargetTest : public testing::Test {
 protected:
  LocatedTargetTest() {
    std::filesystem::create_directories(folder_);
    std::string bytes(400000, '\0');
    for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * i >> 3);
    target_ = EncodedTarget::FromBytes(bytes, DType::kFloat32, Codec::kFp32, {10, 100, 100});
    std::ofstream(path_, std::ios::binary) << std::string(kBefore, 'x') << bytes << "behind";
    location_ = {path_, kBefore, bytes.size()};
    coming_ = target_;
    coming_.bytes = {};
    coming_.owner = nullptr;
  }
  ~LocatedTargetTest() override { std::filesystem::remove_all(folder_); }

  absl::Status StatusAt(const TargetLocation& location) {
    return ReadLocated(coming_, location, nullptr, blocks_).status();
  }

  const std::string folder_ = absl::StrCat(testing::TempDir(), "reflux_located_target_", getpid());
  const std::string path_ = folder_ + "/table";
  EncodedTarget target_, coming_;
  BlockPool blocks_{size_t{1} << 20};
  TargetLocation location_;
};

TEST_F(LocatedTargetTest, IsReadIntoItsPlaceOrIntoMemoryOfItsOwn) {
  std::vector<char> row(location_.size);
  for (char* offered : {row.data(), static_cast<char*>(nullptr)}) {
    const auto read = ReadLocated(
        coming_, location_,
        [&](const EncodedTarget& coming, size_t size) {
          EXPECT_EQ(coming.shape, target_.shape);
          EXPECT_EQ(size, row.size());
          return offered;
        },
        blocks_);
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(read->bytes, target_.bytes);
    EXPECT_EQ(read->owner == nullptr, offered != nullptr);
    EXPECT_EQ(read->bytes.data() == row.data(), offered != nullptr);
  }
}

TEST_F(LocatedTargetTest, AnyOtherByteIsDataLoss) {
  for (const uint64_t offset : {kBefore, kBefore + 200000, kBefore + location_.size - 1}) {
    std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<int64_t>(offset));
    file.put(static_cast<char>(target_.bytes[offset - kBefore] ^ 1));
    file.close();
    EXPECT_TRUE(absl::IsDataLoss(StatusAt(location_)));
    std::fstream again(path_, std::ios::in | std::ios::out | std::ios::binary);
    again.seekp(static_cast<int64_t>(offset));
    again.put(target_.bytes[offset - kBefore]);
    again.close();
    EXPECT_TRUE(StatusAt(location_).ok());
  }
  EXPECT_TRUE(absl::IsDataLoss(StatusAt({path_, kBefore + 1, location_.size})));
  coming_.shape = {10, 100, 99};
  EXPECT_TRUE(absl::IsDataLoss(StatusAt(location_)));
}

TEST_F(LocatedTargetTest, PlacesOutsideTheFileAreDataLossAndAllocateNothing) {
  constexpr uint64_t kMost = std::numeric_limits<uint64_t>::max();
  for (const TargetLocation& location : {TargetLocation{path_, kBefore + 100, location_.size},
                                         TargetLocation{path_, kMost, 1},
                                         {path_, 0, kMost},
                                         {path_, kMost, kMost},
                                         {path_, 0, 1 << 30}}) {
    EXPECT_TRUE(absl::IsDataLoss(StatusAt(location))) << location.offset;
  }
}

TEST_F(LocatedTargetTest, OnlyPlainFilesAreReadAndNothingIsWaitedFor) {
  EXPECT_TRUE(absl::IsNotFound(StatusAt({folder_ + "/none", 0, 8})));
  EXPECT_FALSE(StatusAt({folder_, 0, 8}).ok());
  ASSERT_EQ(mkfifo((folder_ + "/fifo").c_str(), 0600), 0);
  EXPECT_TRUE(absl::IsFailedPrecondition(StatusAt({folder_ + "/fifo", 0, 8})));
  EXPECT_TRUE(absl::IsFailedPrecondition(StatusAt({"/dev/zero", 0, 8})));
  std::filesystem::create_symlink(path_, folder_ + "/link");
  EXPECT_FALSE(StatusAt({folder_ + "/link", kBefore, location_.size}).ok());
}

}  // namespace
}  // namespace reflux
