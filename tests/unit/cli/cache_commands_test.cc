#include "cli/cache_commands.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "common/base/exit_codes.h"
#include "tests/unit/cli/fake_servers.h"

namespace reflux {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class CacheCommandsTest : public testing::Test {
 protected:
  CacheCommandsTest() {
    v1::TargetSet& set = *servers_.cache.sets.add_sets();
    set.set_id("camvid/r101@9f3c01ab");
    set.mutable_spec()->set_tap("aspp");
    set.mutable_spec()->set_codec(v1::CODEC_FP16);
    set.set_entries(734);
    set.set_bytes(1 << 20);
  }
  v1::TargetSet& set() { return *servers_.cache.sets.mutable_sets(0); }

  FakeServers servers_;
  Captured captured_;
};

TEST(ParseTermTest, KnowsDaysToo) {
  EXPECT_EQ(*ParseTerm("24h"), 86400);
  EXPECT_EQ(*ParseTerm("90m"), 5400);
  EXPECT_EQ(*ParseTerm("7d"), 7 * 86400);
  EXPECT_EQ(*ParseTerm("1d12h"), 36 * 3600);
  EXPECT_EQ(*ParseTerm("3650d"), 315360000);
  for (const char* bad : {"", "0s", "-1h", "d", "3650d1s", "-1d", "inf", "24", "1d2", "h"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParseTerm(bad).status())) << bad;
  }
}

TEST_F(CacheCommandsTest, RemovesASetAndSaysWhatWent) {
  EXPECT_EQ(RemoveTargets(captured_.terminal, servers_.address(),
                          {.set = "camvid/", .all = true, .force = true}),
            kExitDone);
  EXPECT_EQ(captured_.out.str(), "removed camvid/r101@9f3c01ab/aspp/fp16: 734 entries, 1.0 MiB\n");
  ASSERT_THAT(servers_.cache.removals, SizeIs(1));
  EXPECT_EQ(servers_.cache.removals[0].set(), "camvid/");
  EXPECT_TRUE(servers_.cache.removals[0].all());
  EXPECT_TRUE(servers_.cache.removals[0].force());
}

TEST_F(CacheCommandsTest, ARefusedRemovalFails) {
  servers_.cache.removal_status = {grpc::StatusCode::FAILED_PRECONDITION, "it is pinned"};
  EXPECT_EQ(RemoveTargets(captured_.terminal, servers_.address(), {.set = "c"}), kExitFailed);
  EXPECT_THAT(captured_.err.str(), HasSubstr("it is pinned"));
}

TEST_F(CacheCommandsTest, PinsForATimeAndReleases) {
  set().set_leased(true);
  set().set_pinned_for_seconds(86400);
  set().set_pinned_until_unix_seconds(absl::ToUnixSeconds(absl::Now()) + 86400 - 60);
  EXPECT_EQ(PinTargets(captured_.terminal, servers_.address(), {.set = "c", .term = "24h"}),
            kExitDone);
  EXPECT_EQ(captured_.out.str(), "camvid/r101@9f3c01ab/aspp/fp16: pinned, 23 h left\n");
  EXPECT_EQ(servers_.cache.pins[0].for_seconds(), 86400);
  set().set_pinned_for_seconds(0);
  EXPECT_EQ(PinTargets(captured_.terminal, servers_.address(), {.set = "c", .release = true}),
            kExitDone);
  EXPECT_EQ(servers_.cache.pins[1].for_seconds(), 0);
  EXPECT_THAT(captured_.out.str(), HasSubstr("aspp/fp16: in use\n"));
  EXPECT_EQ(PinTargets(captured_.terminal, servers_.address(), {.set = "c", .term = "soon"}),
            kExitUsage);
  EXPECT_THAT(servers_.cache.pins, SizeIs(2));
}

TEST_F(CacheCommandsTest, DiskUsageTellsLiveAndOnDisk) {
  servers_.cache.stats.set_entries(734);
  servers_.cache.stats.set_live_bytes(1 << 20);
  servers_.cache.stats.set_disk_bytes(3 << 20);
  EXPECT_EQ(CacheDiskUsage(captured_.terminal, servers_.address()), kExitDone);
  EXPECT_THAT(captured_.out.str(), ContainsRegex("r101@9f3c01ab/aspp/fp16 +734 +1.0 MiB +-\n"));
  EXPECT_THAT(captured_.out.str(), ContainsRegex("all +734 +1.0 MiB\n"));
  EXPECT_THAT(captured_.out.str(), HasSubstr("on disk: 3.0 MiB, of which 2.0 MiB are dead"));
  captured_.terminal.json = true;
  captured_.out.str("");
  EXPECT_EQ(CacheDiskUsage(captured_.terminal, servers_.address()), kExitDone);
  const nlohmann::json json = nlohmann::json::parse(captured_.out.str());
  EXPECT_EQ(json["sets"]["sets"][0]["entries"], "734");
  EXPECT_EQ(json["stats"]["disk_bytes"], "3145728");
}

TEST_F(CacheCommandsTest, CollectsGarbageDownToASize) {
  servers_.cache.collected.set_evicted_bytes(1 << 20);
  servers_.cache.collected.set_reclaimed_bytes(2 << 20);
  EXPECT_EQ(CacheCollectGarbage(captured_.terminal, servers_.address(), -1), kExitDone);
  EXPECT_EQ(captured_.out.str(),
            "evicted 1.0 MiB, gave back 2.0 MiB of disk; 0 B live, 0 B on disk\n");
  EXPECT_EQ(CacheCollectGarbage(captured_.terminal, servers_.address(), 1.5), kExitDone);
  EXPECT_EQ(servers_.cache.collections[0].target_bytes(), -1);
  EXPECT_EQ(servers_.cache.collections[1].target_bytes(), int64_t{3} << 29);
}

}  // namespace
}  // namespace reflux
