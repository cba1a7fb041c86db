// What a TorchScript file says without being run; cut, damaged and foreign files.
#include "distill/checkpoint/scripted_listing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "common/base/file.h"

namespace reflux {
namespace {

using testing::ElementsAre;

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
  EXPECT_THAT(listing->tensors[1].shape, ElementsAre(4, 3, 1, 1));
  EXPECT_EQ(listing->tensors[6].type, ElementType::kI64);
  EXPECT_EQ(listing->code_digest.size(), 64U);
  EXPECT_THAT(listing->preprocessing, testing::HasSubstr("\"BGR\""));
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

}  // namespace
}  // namespace reflux
