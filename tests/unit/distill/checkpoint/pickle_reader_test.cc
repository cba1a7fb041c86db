#include "distill/checkpoint/pickle_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace reflux {
namespace {

using testing::HasSubstr;
using Kind = PickleValue::Kind;

absl::StatusOr<PickleGraph> Read(std::string bytes) { return ReadPickle("\x80\x02" + bytes); }

PickleValue Root(const std::string& bytes) {
  const auto graph = Read(bytes);
  EXPECT_TRUE(graph.ok()) << graph.status();
  return graph.ok() ? (*graph)[graph->root] : PickleValue{};
}

std::string Error(const std::string& bytes) {
  const auto graph = Read(bytes);
  EXPECT_FALSE(graph.ok());
  return std::string(graph.status().message());
}

TEST(PickleReaderTest, NumbersAndStrings) {
  EXPECT_EQ(Root("K\x07.").integer, 7);
  EXPECT_EQ(Root(std::string("M\x00\x01.", 4)).integer, 256);
  EXPECT_EQ(Root("J\xfe\xff\xff\xff.").integer, -2);
  EXPECT_EQ(Root("\x8a\x01\xff.").integer, -1);
  EXPECT_EQ(Root(std::string("\x8a\x02\xff\x00.", 5)).integer, 255);
  EXPECT_EQ(Root(std::string("\x8a\x00.", 3)).integer, 0);
  EXPECT_EQ(Root("\x8a\x09"
                 "123456789.")
                .kind,
            Kind::kLong);
  EXPECT_EQ(Root(std::string("G\x3f\xf8\x00\x00\x00\x00\x00\x00.", 10)).real, 1.5);
  EXPECT_EQ(Root(std::string("X\x02\x00\x00\x00hi.", 8)).text, "hi");
  EXPECT_EQ(Root("N.").kind, Kind::kNone);
  EXPECT_EQ(Root("\x88.").integer, 1);
}

TEST(PickleReaderTest, ContainersAndMemo) {
  // {"a": (1, 2), "b": the same tuple}
  const auto graph = Read(
      "}(U\x01"
      "aK\x01K\x02\x86q\x01U\x01"
      "bh\x01u.");
  ASSERT_TRUE(graph.ok()) << graph.status();
  const PickleId a = graph->Find(graph->root, "a");
  ASSERT_NE(a, kNoPickleValue);
  EXPECT_EQ(graph->Find(graph->root, "b"), a);
  EXPECT_EQ((*graph)[a].items.size(), 2U);
  EXPECT_EQ(graph->Find(graph->root, "c"), kNoPickleValue);
}

TEST(PickleReaderTest, CallsAreRecordedAndNeverMade) {
  const auto graph = Read("cposix\nsystem\nU\x08rm -rf /\x85R.");
  ASSERT_TRUE(graph.ok()) << graph.status();
  const PickleValue& call = (*graph)[graph->root];
  EXPECT_EQ(call.kind, Kind::kObject);
  EXPECT_EQ(call.text, "posix.system");
  EXPECT_EQ((*graph)[(*graph)[call.arguments].items[0]].text, "rm -rf /");
}

TEST(PickleReaderTest, AGraphMayContainItself) {
  const auto graph = Read(
      "]q\x01h\x01"
      "a.");
  ASSERT_TRUE(graph.ok()) << graph.status();
  EXPECT_EQ((*graph)[graph->root].items[0], graph->root);
}

TEST(PickleReaderTest, BrokenProgramsAreErrors) {
  for (const char* program :
       {"", "K", ".", "R.", "t.", "h\x05.", "\x86.", "X\xff\xff\xff\xff", "\x8b\xff\xff\xff\xff",
        "N(Rq\x01.", "K\x01K\x02s.", "NNR.", "cmodule", "K\x01K\x02\x93."}) {
    EXPECT_FALSE(Read(program).ok()) << program;
  }
  EXPECT_THAT(Error("I1\n."), HasSubstr("instruction 0x49 at byte 2"));
  EXPECT_THAT(Error("\x82\x01."), HasSubstr("instruction 0x82"));  // an extension code
}

TEST(PickleReaderTest, MemoryIsBounded) {
  EXPECT_THAT(Error(std::string(kMaxPickleValues + 1, '}')), HasSubstr("more than"));
  // A list of two million pairs' worth of references, given to OrderedDict again and again.
  std::string program = "ccollections\nOrderedDict\nq\x01](";
  for (int i = 0; i < 1000; ++i) program += "NN\x86";
  program += "e\x85q\x02";
  for (int i = 0; i < 2000; ++i) program += "h\x01h\x02R0";
  EXPECT_THAT(Error(program + "."), HasSubstr("again and again"));
  // A text of a million letters, used a thousand times.
  const std::string text = std::string("X\0\0\x10\0", 5) + std::string(1 << 20, 'x') + "q\x01";
  for (const char* use : {"h\x01", "2"}) {
    program = text;
    for (int i = 0; i < 1000; ++i) program += use;
    EXPECT_THAT(Error(program + "."), HasSubstr("again and again"));
  }
}

}  // namespace
}  // namespace reflux
