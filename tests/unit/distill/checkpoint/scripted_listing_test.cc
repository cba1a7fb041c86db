// What a TorchScript file says without being run; cut, damaged and foreign files.
#include "distill/checkpoint/scripted_listing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "common/base/file.h"
#include "tests/support/stored_zip.h"

namespace reflux {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

absl::StatusOr<ScriptedListing> List(const std::string& bytes) {
  return ListScriptedFile(BytesInMemory("module.pt", bytes));
}

std::string Data(const std::string& name) {
  return ReadFile(absl::StrCat(REFLUX_CHECKPOINT_DATA, "/", name), 1 << 20).value();
}

std::vector<std::string> Names(const ScriptedListing& listing, ScriptedTensor::Kind kind) {
  std::vector<std::string> names;
  for (const ScriptedTensor& tensor : listing.tensors) {
    if (tensor.kind == kind) names.push_back(tensor.name);
  }
  return names;
}

TEST(ScriptedListingTest, TellsParametersBuffersAndWhatIsNeither) {
  const auto listing = List(Data("scripted.pt"));
  ASSERT_TRUE(listing.ok()) << listing.status();
  EXPECT_EQ(listing->module_class, "__torch__.Network");
  EXPECT_THAT(Names(*listing, ScriptedTensor::Kind::kParameter),
              ElementsAre("first.weight", "norm.weight", "norm.bias", "last.weight", "last.bias"));
  EXPECT_THAT(Names(*listing, ScriptedTensor::Kind::kBuffer),
              ElementsAre("norm.running_mean", "norm.running_var", "norm.num_batches_tracked"));
  EXPECT_THAT(Names(*listing, ScriptedTensor::Kind::kAttribute), ElementsAre("offset"));
  EXPECT_THAT(listing->tensors[1].stored.shape, ElementsAre(4, 3, 1, 1));
  EXPECT_EQ(listing->tensors[6].stored.type, ElementType::kI64);
  EXPECT_EQ(listing->code_digest.size(), 64U);
  EXPECT_THAT(listing->preprocessing, HasSubstr("\"BGR\""));
}

TEST(ScriptedListingTest, CutDamagedAndForeignFilesAreErrors) {
  const std::string whole = Data("scripted.pt");
  for (size_t bytes = 0; bytes < whole.size(); bytes += 41) {
    EXPECT_FALSE(List(whole.substr(0, bytes)).ok()) << bytes;
  }
  std::string flipped = whole;
  const size_t at = whole.find("__torch__\nNetwork");  // in the pickle, which is stored
  ASSERT_NE(at, std::string::npos);
  flipped[at] ^= 1;
  EXPECT_TRUE(absl::IsDataLoss(List(flipped).status())) << List(flipped).status();
  EXPECT_TRUE(absl::IsInvalidArgument(List(Data("zip.pth")).status()));
}

std::string Module(const std::string& pickle) {
  return StoredZip({{"m/data.pkl", pickle}, {"m/constants.pkl", "\x80\x02)."}});
}

TEST(ScriptedListingTest, HostileModulesAreErrors) {
  using namespace std::string_literals;  // NOLINT: literals with zero bytes
  const std::string object =
      "\x80\x02"
      "c__torch__\nN\nq\0)\x81q\x01}"s;
  const auto empty = List(Module(object + "b."));
  ASSERT_TRUE(empty.ok()) << empty.status();
  EXPECT_EQ(empty->module_class, "__torch__.N");
  EXPECT_TRUE(empty->tensors.empty());
  // Its attribute `a` is itself; a name that is a number; a list, and nothing, for a module.
  EXPECT_TRUE(absl::IsResourceExhausted(List(Module(object + "X\1\0\0\0ah\1sb."s)).status()));
  EXPECT_TRUE(absl::IsDataLoss(List(Module(object + "K\1h\1sb."s)).status()));
  EXPECT_TRUE(absl::IsDataLoss(List(Module("\x80\x02].")).status()));
  EXPECT_TRUE(absl::IsDataLoss(List(Module("\x80\x02"
                                           "c__torch__\nN\n)\x81."))
                                   .status()));
  EXPECT_FALSE(List(Module("")).ok());
  // Made by a tuple, not by a class.
  EXPECT_TRUE(absl::IsDataLoss(List(Module("\x80\x02))R}b.")).status()));
  // A tensor of a storage that is not there, and one of a kind that is not read.
  EXPECT_FALSE(List(Module(object + "X\1\0\0\0a"
                                    "ctorch._utils\n_rebuild_tensor_v2\n((U\7storagectorch\n"
                                    "FloatStorage\nU\0019U\3cpuK\1tQK\0)))tRsb."s))
                   .ok());
  EXPECT_TRUE(absl::IsUnimplemented(
      List(Module(object + "X\1\0\0\0actorch._utils\n_rebuild_qtensor\n)Rsb."s)).status()));
}

// Twenty modules, each twice in the next under a long name: a million names of megabytes.
TEST(ScriptedListingTest, LongNamesOfModulesUsedAgainAreErrors) {
  using namespace std::string_literals;  // NOLINT: literals with zero bytes
  std::string pickle =
      "\x80\x02"
      "c__torch__\nN\nq\0X\0\0\4\0"s +
      std::string(1 << 18, 'x') + "q\1h\0)\x81}bq\2"s;
  for (int i = 0; i < 20; ++i) pickle += "h\0)\x81}h\1h\2sh\1h\2sbq\2"s;
  const absl::Status status = List(Module(pickle + ".")).status();
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("attributes are too many"));
}

TEST(ScriptedListingTest, EntriesOverOneAnotherAreErrors) {
  std::string file = StoredZip({{"m/data.pkl", std::string(10000, '.')}, {"m/constants.pkl", ""}});
  const size_t first = file.find("PK\1\2"), second = file.rfind("PK\1\2");
  file.replace(second + 16, 12, file, first + 16, 12);  // checksum and sizes
  file.replace(second + 42, 4, file, first + 42, 4);    // place
  const absl::Status status = List(file).status();
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("more bytes than it has"));
}

}  // namespace
}  // namespace reflux
