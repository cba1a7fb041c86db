// The bytes of a small file; that distill/tensors reads such files is tested there.
#include "common/base/safetensors_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "common/base/file.h"

namespace reflux {
namespace {

using ::testing::HasSubstr;

std::string Folder() {
  const std::string folder = testing::TempDir() + "safetensors_writer_test";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directory(folder);
  return folder;
}

TEST(SafetensorsWriterTest, WritesTheFormatByteByByte) {
  const std::string path = Folder() + "/a.safetensors";
  ASSERT_TRUE(WriteSafetensorsFile(path,
                                   {{"half", "F16", {2}, "abcd"}, {"wide", "F32", {1, 1}, "1234"}},
                                   {{"tap", "logits"}})
                  .ok());
  const std::string header =
      R"({"__metadata__":{"tap":"logits"},"half":{"data_offsets":[4,8],"dtype":"F16","shape":[2]},)"
      R"("wide":{"data_offsets":[0,4],"dtype":"F32","shape":[1,1]}})";
  const std::string padded = header + std::string((8 - header.size() % 8) % 8, ' ');
  const std::string expected =
      std::string(1, static_cast<char>(padded.size())) + std::string(7, '\0') + padded + "1234abcd";
  EXPECT_EQ(*ReadFile(path, 1 << 20), expected);
}

TEST(SafetensorsWriterTest, RefusesWhatIsNoTensorAndLeavesNothingBehind) {
  const std::string folder = Folder(), path = folder + "/a.safetensors";
  const auto refused = [&](std::vector<TensorBytes> tensors) {
    const absl::Status status = WriteSafetensorsFile(path, std::move(tensors));
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    return std::string(status.message());
  };
  EXPECT_THAT(refused({{"x", "F8", {1}, "1"}}),
              HasSubstr("'x' has a reserved name or the dtype F8"));
  EXPECT_THAT(refused({{"__metadata__", "U8", {1}, "1"}}), HasSubstr("reserved"));
  EXPECT_THAT(refused({{"x", "F32", {2}, "1234"}}), HasSubstr("another number of bytes"));
  EXPECT_THAT(refused({{"x", "U8", {-1}, "1"}}), HasSubstr("another number of bytes"));
  EXPECT_THAT(refused({{"x", "U8", {1}, "1"}, {"x", "U8", {1}, "1"}}), HasSubstr("comes twice"));
  EXPECT_FALSE(WriteSafetensorsFile(folder + "/no/a", {{"x", "U8", {1}, "1"}}).ok());
  EXPECT_TRUE(std::filesystem::is_empty(folder));
}

}  // namespace
}  // namespace reflux
