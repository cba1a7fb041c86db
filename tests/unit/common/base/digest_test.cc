#include "common/base/digest.h"

#include <gtest/gtest.h>

namespace reflux {
namespace {

TEST(Digest, MatchesThePublishedVectorOfAbc) {
  EXPECT_EQ(Sha256::Of("abc").Hex(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Digest, StreamingEqualsOneShot) {
  Sha256 sha;
  sha.Update("a");
  sha.Update("bc");
  EXPECT_EQ(sha.Finish(), Sha256::Of("abc"));
}

TEST(Digest, HexRoundTripsAndRefusesOtherText) {
  const Digest digest = Sha256::Of("x");
  EXPECT_EQ(Digest::FromHex(digest.Hex()).value(), digest);
  EXPECT_FALSE(Digest::FromHex("abc").ok());
  EXPECT_FALSE(Digest::FromHex(std::string(64, 'G')).ok());
  EXPECT_FALSE(Digest::FromBytes("short").ok());
}

}  // namespace
}  // namespace reflux
