#include "distill/checkpoint/torch_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "common/base/counter_random.h"

namespace reflux {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Written by data/make.py.
std::string Content(const std::string& name) {
  std::ifstream file(absl::StrCat(REFLUX_CHECKPOINT_DATA, "/", name), std::ios::binary);
  std::ostringstream content;
  content << file.rdbuf();
  EXPECT_GT(content.str().size(), 100U);
  return content.str();
}

absl::StatusOr<TorchFile> Read(std::string bytes) {
  return ReadTorchFile(BytesInMemory("memory.pth", std::move(bytes)));
}

template <typename T>
T ElementAt(const std::string& bytes, const StoredTensor& tensor, int64_t index) {
  T value;
  std::memcpy(&value, bytes.data() + tensor.begin + index * sizeof(T), sizeof(T));
  return value;
}

class TorchFileTest : public testing::TestWithParam<const char*> {};

TEST_P(TorchFileTest, TensorsAreViewsOfTheFile) {
  const std::string bytes = Content(GetParam());
  const auto file = Read(bytes);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->tensors.size(), 9U);
  const StoredTensor& plain = file->tensors.at("plain");
  EXPECT_THAT(plain.shape, ElementsAre(3, 4));
  EXPECT_EQ(plain.end - plain.begin, 12 * sizeof(float));
  EXPECT_EQ(ElementAt<float>(bytes, plain, 11), 11);
  const StoredTensor& transposed = file->tensors.at("transposed");
  EXPECT_THAT(transposed.shape, ElementsAre(4, 3));
  EXPECT_THAT(transposed.strides, ElementsAre(1, 4));
  EXPECT_EQ(transposed.begin, plain.begin);
  EXPECT_EQ(ElementAt<float>(bytes, file->tensors.at("part"), 0), 5);
  EXPECT_EQ(file->tensors.at("part").end - file->tensors.at("part").begin, 6 * sizeof(float));
  EXPECT_EQ(ElementAt<float>(bytes, file->tensors.at("parameter"), 1), -2);
  EXPECT_EQ(file->tensors.at("half").type, ElementType::kF16);
  EXPECT_EQ(ElementAt<uint16_t>(bytes, file->tensors.at("bfloat16"), 0), 0x3f80);
  EXPECT_EQ(ElementAt<double>(bytes, file->tensors.at("double"), 0), 1e-300);
  EXPECT_EQ(ElementAt<int64_t>(bytes, file->tensors.at("count"), 0), 7);
  EXPECT_TRUE(file->tensors.at("count").shape.empty());
  EXPECT_EQ(file->tensors.at("empty").begin, file->tensors.at("empty").end);
}

TEST_P(TorchFileTest, WhatIsNotAWeightIsListedAndNotLoaded) {
  const auto file = Read(Content(GetParam()));
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->nested_under, "state_dict");
  EXPECT_EQ(file->prefix, "module.");
  EXPECT_THAT(file->other_keys, ElementsAre("epoch", "args", "best", "large", "name"));
  EXPECT_THAT(file->inert_classes, ElementsAre("argparse.Namespace"));
}

TEST_P(TorchFileTest, NoTruncationIsTakenForTheWhole) {
  const std::string bytes = Content(GetParam());
  for (size_t length = 0; length < bytes.size(); ++length) {
    EXPECT_FALSE(Read(bytes.substr(0, length)).ok()) << length;
  }
}

// Whatever is read of a damaged file lies within it. A zip file has checksums: no bit of its
// weights or of its pickle may flip unnoticed.
TEST_P(TorchFileTest, FlippedBitsAndBytesGiveNoViewOutsideOfTheFile) {
  const std::string whole = Content(GetParam());
  const CounterRandom random(1, "flips");
  for (uint64_t i = 0; i < 6000; ++i) {
    std::string bytes = whole;
    for (uint64_t flips = 0; flips <= i % 3; ++flips) {
      const auto at = static_cast<size_t>(random.Uniform(i, 2 * flips) * bytes.size());
      const auto value = static_cast<uint8_t>(random.Uniform(i, 2 * flips + 1) * 256);
      bytes[at] = static_cast<char>(i % 2 == 0 ? bytes[at] ^ (1 << value % 8) : value);
    }
    const auto file = Read(bytes);
    if (!file.ok()) continue;
    for (const auto& [name, tensor] : file->tensors) {
      ASSERT_LE(tensor.begin, tensor.end);
      ASSERT_LE(tensor.end, bytes.size());
      ASSERT_EQ(tensor.shape.size(), tensor.strides.size());
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, TorchFileTest,
                         testing::Values("zip.pth", "legacy.pth", "protocol4.pth"),
                         [](const auto& info) {
                           const std::string name = info.param;
                           return name.substr(0, name.find('.'));
                         });

TEST(TorchFileErrorTest, AChangedWeightOfAZipFileIsSeen) {
  std::string bytes = Content("zip.pth");
  const auto file = Read(bytes);
  ASSERT_TRUE(file.ok());
  bytes[file->tensors.at("plain").begin + 5] ^= 4;
  const auto damaged = Read(bytes);
  EXPECT_EQ(damaged.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(damaged.status().message()), HasSubstr("checksum"));
}

TEST(TorchFileErrorTest, AWholeModuleIsRefusedByName) {
  const auto file = Read(Content("whole_module.pth"));
  EXPECT_EQ(file.status().code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(std::string(file.status().message()), HasSubstr("torch.nn.modules.linear.Linear"));
}

std::string Text(const std::string& text) {
  const auto length = static_cast<uint32_t>(text.size());
  return "X" + std::string(reinterpret_cast<const char*>(&length), 4) + text;
}

// Of the old format, with one number of that name.
std::string OneNumber(const std::string& name) {
  using namespace std::string_literals;  // NOLINT: literals with zero bytes
  return "\x80\x02\x8a\x0al\xfc\x9c"
         "F\xf9 j\xa8P\x19."
         "\x80\x02M\xe9\x03."
         "\x80\x02}"s +
         Text("little_endian") + "\x88s.\x80\x02}" + Text(name) +
         "ctorch._utils\n_rebuild_tensor_v2\n((" + Text("storage") + "ctorch\nFloatStorage\n" +
         Text("key") + Text("cpu") + "K\1NtQK\0))\x89NtRs.\x80\x02]"s + Text("key") + "a." +
         "\1\0\0\0\0\0\0\0\0\0\x80\x3f"s;
}

TEST(TorchFileErrorTest, ManyPrefixesOfANameTakeNoLonger) {
  std::string name;
  for (int i = 0; i < 100000; ++i) name += "module.";
  const auto file = Read(OneNumber(name + "weight"));
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->tensors.count("weight"), 1U);
  EXPECT_EQ(file->prefix, name);
}

TEST(TorchFileErrorTest, OtherFilesAreRefused) {
  EXPECT_EQ(Read("").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Read(std::string(1000, 'x')).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_FALSE(Read("PK\x03\x04" + std::string(1000, 'x')).ok());
}

}  // namespace
}  // namespace reflux
