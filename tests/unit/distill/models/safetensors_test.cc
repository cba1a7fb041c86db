#include "distill/tensors/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

#include "absl/strings/str_cat.h"
#include "tests/support/mutated_bytes.h"

namespace reflux {
namespace {

using testing::HasSubstr;

std::string TempFolder() {
  const auto* info = testing::UnitTest::GetInstance()->current_test_info();
  const std::string folder =
      absl::StrCat(testing::TempDir(), "/reflux_", getpid(), "_", info->name());
  std::filesystem::create_directories(folder);
  return folder;
}

std::string ReadBytes(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void WriteBytes(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

std::string FileOf(const std::string& header, const std::string& data = "") {
  uint64_t length = header.size();
  return std::string(reinterpret_cast<const char*>(&length), 8) + header + data;
}

TEST(SafetensorsTest, EveryDTypeComesBack) {
  const std::string path = TempFolder() + "/a.safetensors";
  NamedTensors tensors;
  for (const auto dtype : {torch::kFloat64, torch::kFloat32, torch::kFloat16, torch::kBFloat16,
                           torch::kInt64, torch::kInt32, torch::kUInt8, torch::kBool}) {
    tensors[torch::toString(dtype)] = torch::arange(6).reshape({2, 3}).to(dtype);
  }
  tensors["scalar"] = torch::tensor(2.5);
  tensors["empty"] = torch::empty({0, 4});
  tensors["transposed"] = torch::arange(6).reshape({2, 3}).t();
  ASSERT_TRUE(WriteSafetensors(path, tensors, {{"step", "7"}}).ok());

  const auto file = SafetensorsFile::Open(path);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->metadata(), (StringMap{{"step", "7"}}));
  EXPECT_EQ(file->names().size(), tensors.size());
  for (const auto& [name, tensor] : tensors) {
    const auto loaded = file->Load(name);
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    EXPECT_EQ(loaded->scalar_type(), tensor.scalar_type()) << name;
    EXPECT_TRUE(torch::equal(*loaded, tensor)) << name;
  }
  EXPECT_EQ(file->Load("nothing").status().code(), absl::StatusCode::kNotFound);
}

TEST(SafetensorsTest, SameContentSameBytes) {
  const std::string folder = TempFolder();
  const NamedTensors tensors = {{"a", torch::ones({3})}, {"b", torch::zeros({2}, torch::kUInt8)}};
  ASSERT_TRUE(WriteSafetensors(folder + "/1", tensors, {{"x", "y"}}).ok());
  ASSERT_TRUE(WriteSafetensors(folder + "/2", tensors, {{"x", "y"}}).ok());
  EXPECT_EQ(ReadBytes(folder + "/1"), ReadBytes(folder + "/2"));
}

TEST(SafetensorsTest, EveryTruncationIsDataLoss) {
  const std::string folder = TempFolder();
  ASSERT_TRUE(WriteSafetensors(folder + "/whole", {{"a", torch::ones({5})}}).ok());
  const std::string whole = ReadBytes(folder + "/whole");
  for (size_t size = 0; size < whole.size(); ++size) {
    WriteBytes(folder + "/part", whole.substr(0, size));
    EXPECT_EQ(SafetensorsFile::Open(folder + "/part").status().code(), absl::StatusCode::kDataLoss)
        << size;
  }
}

TEST(SafetensorsTest, HostileHeadersAreRefused) {
  const std::string path = TempFolder() + "/bad";
  const std::string four = std::string(4, 'x');
  const auto entry = [](const std::string& shape, const std::string& offsets) {
    return R"({"a":{"dtype":"F32","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}}";
  };
  for (const std::string& bytes :
       {std::string(8, '\xff'), FileOf("[]"), FileOf("{"), FileOf(R"({"a":1})"),
        FileOf(R"({"__metadata__":{"a":1}})"), FileOf(entry("[1]", "[0,4]")),
        FileOf(entry("[1]", "[4,8]"), four + four), FileOf(entry("[1]", "[4,0]"), four),
        FileOf(entry("[1]", "[0,4]"), four + "y"), FileOf(entry("[-1]", "[0,4]"), four),
        FileOf(entry("[2]", "[0,4]"), four), FileOf(entry("[1.5]", "[0,4]"), four),
        FileOf(entry("[4611686018427387904,4]", "[0,0]")),
        FileOf(entry("[0,4611686018427387904,4611686018427387904]", "[0,0]")),
        FileOf(entry("[18446744073709551615]", "[0,0]")), FileOf(std::string(100000, '['))}) {
    WriteBytes(path, bytes);
    EXPECT_EQ(SafetensorsFile::Open(path).status().code(), absl::StatusCode::kDataLoss)
        << bytes.substr(0, 100);
  }
}

// A mutant that is accepted is loaded: no more than the file holds, whatever its header says. (The
// header alone: tests/fuzz.)
TEST(SafetensorsTest, MutantsAreLoadedOrRefused) {
  const std::string folder = TempFolder();
  ASSERT_TRUE(WriteSafetensors(folder + "/whole",
                               {{"a", torch::ones({2, 3})}, {"b", torch::arange(4)}}, {{"c", "d"}})
                  .ok());
  const std::string whole = ReadBytes(folder + "/whole");
  std::mt19937 random(20240923);
  int loaded = 0, refused = 0;
  for (int i = 0; i < 2000; ++i) {
    const std::string mutant = Mutated(whole, random);
    WriteBytes(folder + "/mutant", mutant);
    const auto file = SafetensorsFile::Open(folder + "/mutant");
    ++(file.ok() ? loaded : refused);
    if (!file.ok()) continue;
    const auto tensors = file->LoadAll();
    ASSERT_TRUE(tensors.ok()) << tensors.status();
    size_t bytes = 0;
    for (const auto& [name, tensor] : *tensors) bytes += tensor.nbytes();
    EXPECT_LE(bytes, mutant.size());
  }
  EXPECT_GT(loaded, 0);
  EXPECT_GT(refused, 0);
}

TEST(SafetensorsTest, UnknownDTypeAndMissingFile) {
  const std::string path = TempFolder() + "/f8";
  WriteBytes(path, FileOf(R"({"a":{"dtype":"F8_E4M3","shape":[0],"data_offsets":[0,0]}})"));
  EXPECT_EQ(SafetensorsFile::Open(path).status().code(), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(SafetensorsFile::Open(path + "no").status().code(), absl::StatusCode::kNotFound);
}

TEST(SafetensorsTest, FailedWriteLeavesTheOldFileAndNoOther) {
  const std::string folder = TempFolder();
  const std::string path = folder + "/a";
  ASSERT_TRUE(WriteSafetensors(path, {{"a", torch::ones({1})}}).ok());
  const std::string before = ReadBytes(path);
  const auto status = WriteSafetensors(path, {{"z", torch::ones({1}, torch::kComplexFloat)}});
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("'z'"));
  EXPECT_EQ(ReadBytes(path), before);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder), {}), 1);
  EXPECT_FALSE(WriteSafetensors(folder + "/no/such/a", {{"a", torch::ones({1})}}).ok());
}

}  // namespace
}  // namespace reflux
