#include "common/rpc/server_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "common/rpc/endpoints.h"
#include "tests/contract/cache_fixtures.h"

namespace reflux {
namespace {

using Servers = std::vector<ListedServer>;

TEST(ServerList, IsSplitAtCommasAndSorted) {
  EXPECT_EQ(*ListServers("b:2, a:1,@/run/c"),
            (Servers{{"@/run/c", "@/run/c"}, {"a:1", "a:1"}, {"b:2", "b:2"}}));
  EXPECT_TRUE(IsSingleServer("a:1"));
  EXPECT_TRUE(IsSingleServer("@/run/c"));
  EXPECT_FALSE(IsSingleServer("a:1,b:2"));
}

TEST(ServerList, RefusesEmptyItemsAndNamesThatComeTwice) {
  for (const char* text : {"", "a:1,", ",a:1", "a:1,,b:2", "a:1,b:2,a:1"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ListServers(text).status())) << text;
  }
}

TEST(ServerList, AFolderHoldsTheServersThatAreAnnouncedNow) {
  TemporaryFolder folder;
  const std::string list = "@" + folder.path();
  EXPECT_FALSE(IsSingleServer(list));
  EXPECT_EQ(*ListServers(list), Servers{});
  ASSERT_TRUE(PublishEndpoint(folder.path() + "/two", "h:2").ok());
  ASSERT_TRUE(PublishEndpoint(folder.path() + "/one", "h:1").ok());
  std::ofstream(folder.path() + "/three.tmp.12.34") << "h:";
  std::ofstream(folder.path() + "/.hidden") << "h:4";
  std::filesystem::create_directory(folder.path() + "/folder");
  EXPECT_EQ(*ListServers(list), (Servers{{"one", list + "/one"}, {"two", list + "/two"}}));
  EXPECT_EQ(*ResolveEndpoint((*ListServers(list))[1].endpoint), "h:2");
  std::filesystem::remove(folder.path() + "/two");
  EXPECT_EQ(ListServers(list)->size(), 1u);
}

TEST(ServerList, AFolderThatIsNotThereYetIsEmpty) {
  TemporaryFolder folder;
  EXPECT_EQ(*ListServers("@" + folder.path() + "/later/"), Servers{});
}

TEST(EndpointList, KeepsTheOrderOfTheTextAndEqualNamesOfTwoFolders) {
  TemporaryFolder first, second;
  for (const TemporaryFolder* folder : {&first, &second}) {
    ASSERT_TRUE(PublishEndpoint(folder->path() + "/1", "h:1").ok());
    ASSERT_TRUE(PublishEndpoint(folder->path() + "/0", "h:0").ok());
  }
  const std::string one = "@" + second.path(), two = "@" + first.path();
  EXPECT_EQ(
      *ListEndpoints("z:9, " + one + "," + two + ",a:1"),
      (std::vector<std::string>{"z:9", one + "/0", one + "/1", two + "/0", two + "/1", "a:1"}));
  EXPECT_TRUE(absl::IsInvalidArgument(ListServers(one + "," + two).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(ListEndpoints("a:1,").status()));
  EXPECT_EQ(*ListEndpoints("@" + first.path() + "/later/"), std::vector<std::string>{});
}

}  // namespace
}  // namespace reflux
