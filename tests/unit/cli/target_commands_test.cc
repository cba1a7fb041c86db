#include "cli/target_commands.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/exit_codes.h"
#include "tests/unit/cli/fake_servers.h"

namespace reflux {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;

TEST(TargetCommandsTest, ListsSetsWithEntriesAndBytes) {
  FakeServers servers;
  v1::TargetSet& set = *servers.cache.sets.add_sets();
  set.set_id("camvid/deeplabv3_resnet101@9f3c01ab");
  set.mutable_spec()->set_tap("aspp");
  set.mutable_spec()->set_codec(static_cast<v1::Codec>(131));  // as docs/cache_format.md has it
  set.set_entries(734);
  set.set_bytes(1 << 20);
  Captured captured;
  EXPECT_EQ(ListTargets(captured.terminal, servers.address()), kExitDone);
  EXPECT_THAT(
      captured.out.str(),
      ContainsRegex("camvid/deeplabv3_resnet101@9f3c01ab +aspp +fp16[+]zstd +734 +1.0 MiB"));
}

TEST(TargetCommandsTest, StatsTellHitsAndWhetherItStores) {
  FakeServers servers;
  servers.cache.stats.set_hits(3);
  servers.cache.stats.set_misses(1);
  Captured captured;
  EXPECT_EQ(CacheStats(captured.terminal, servers.address()), kExitDone);
  EXPECT_THAT(captured.out.str(), ContainsRegex("hits: +3 of 4 \\(75.0 %\\)"));
  EXPECT_THAT(captured.out.str(), ContainsRegex("storing: +no"));
  captured.terminal.json = true;
  EXPECT_EQ(CacheStats(captured.terminal, servers.address()), kExitDone);
  EXPECT_THAT(captured.out.str(), HasSubstr("\"hits\": \"3\""));
}

TEST(TargetCommandsTest, VerifyFailsOnCorruption) {
  FakeServers servers;
  servers.cache.verified.set_entries(5);
  Captured captured;
  EXPECT_EQ(CacheVerify(captured.terminal, servers.address()), kExitDone);
  servers.cache.verified.set_corrupted(2);
  EXPECT_EQ(CacheVerify(captured.terminal, servers.address()), kExitFailed);
  EXPECT_EQ(captured.out.str(),
            "5 entries, 0 B read, 0 corrupted\n5 entries, 0 B read, 2 corrupted and dropped\n");
}

TEST(TargetCommandsTest, TeacherInfoShowsTapsAndInferences) {
  FakeServers servers;
  v1::TeacherInfo& info = servers.teacher.info;
  info.set_model("deeplabv3_resnet101");
  info.set_images_inferred(734);
  info.set_miou(-1);
  info.mutable_identity()->set_digest(std::string(32, '\x9f'));
  info.mutable_identity()->mutable_numerics()->set_mode(v1::NUMERICS_MODE_EXACT);
  info.add_taps()->set_name("aspp");
  Captured captured;
  EXPECT_EQ(TeacherInfo(captured.terminal, servers.address()), kExitDone);
  EXPECT_THAT(captured.out.str(), ContainsRegex("images inferred: +734"));
  EXPECT_THAT(captured.out.str(), ContainsRegex("digest: +9f9f9f9f"));
  EXPECT_THAT(captured.out.str(), ContainsRegex("numerics: +exact"));
  EXPECT_THAT(captured.out.str(), ContainsRegex("mIoU: +not evaluated"));
  EXPECT_THAT(captured.out.str(), HasSubstr("tap aspp:"));
}

}  // namespace
}  // namespace reflux
