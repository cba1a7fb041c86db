#include "common/base/utf8.h"

#include <gtest/gtest.h>

#include <string>

namespace reflux {
namespace {

TEST(Utf8Test, ShortestFormsOfScalarValuesAlone) {
  for (const char* text :
       {"", "plain",
        "Gr\xc3\xbc\xc3\x9f"
        "e",
        "\xe2\x82\xac", "\xed\x9f\xbf", "\xf0\x9f\x98\x80", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_TRUE(IsUtf8(text)) << text;
  }
  for (const char* text : {"\xff", "a\x80", "\xc3", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80",
                           "\xe2\x82", "\xe2\x82z", "\xf4\x90\x80\x80", "\xf0\x8f\xbf\xbf"}) {
    EXPECT_FALSE(IsUtf8(text)) << text;
  }
}

}  // namespace
}  // namespace reflux
