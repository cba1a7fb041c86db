#include "cli/find_servers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "common/base/exit_codes.h"
#include "common/rpc/endpoints.h"
#include "tests/unit/cli/fake_servers.h"

namespace reflux {
namespace {

using ::testing::HasSubstr;

void AddProcess(v1::Job& job, const std::string& role, const std::string& state,
                const std::string& address) {
  v1::Process& process = *job.add_processes();
  process.set_role(role);
  process.set_state(state);
  process.set_address(address);
}

std::vector<std::string> Texts(const absl::StatusOr<std::vector<FoundServer>>& found) {
  std::vector<std::string> texts;
  for (const FoundServer& server : found.value()) {
    texts.push_back(server.role + " " + server.address);
  }
  return texts;
}

TEST(FindServersTest, ThoseOfJobsThatServe) {
  FakeServers servers;
  AddProcess(servers.jobs.described, "worker/0", "running", "");
  AddProcess(servers.jobs.described, "cache/lab/b", "running", "127.0.0.1:2");
  AddProcess(servers.jobs.described, "cache/lab/a", "running", "127.0.0.1:1");
  AddProcess(servers.jobs.described, "cache/lab/c", "exited", "127.0.0.1:3");
  AddProcess(servers.jobs.described, "teacher/a/0", "starting", "");
  EXPECT_THAT(Texts(FindServers(servers.address(), "cache")),
              testing::ElementsAre("cache/lab/a 127.0.0.1:1", "cache/lab/b 127.0.0.1:2"));
  EXPECT_TRUE(absl::IsNotFound(FindServers(servers.address(), "teacher").status()));
}

TEST(FindServersTest, ThoseThatLingerAfterTheirJobs) {
  FakeServers servers;
  const std::string endpoints = testing::TempDir() + "find_servers/endpoints/";
  std::filesystem::remove_all(endpoints);
  ASSERT_TRUE(PublishEndpoint(endpoints + "orchestrator", servers.address()).ok());
  ASSERT_TRUE(PublishEndpoint(endpoints + "cache/lab/a", "127.0.0.1:7").ok());
  ASSERT_TRUE(PublishEndpoint(endpoints + "cache/lab/gone", "127.0.0.1:8").ok());
  servers.members.addresses["cache/lab/a"] = "127.0.0.1:1";
  EXPECT_THAT(Texts(FindServers("@" + endpoints + "orchestrator", "cache")),
              testing::ElementsAre("cache/lab/a 127.0.0.1:1"));
  std::filesystem::remove_all(endpoints);
}

TEST(FindServersTest, WithoutAnOrchestratorItSaysHowToNameAServer) {
  const auto found = FindServers("@" + testing::TempDir() + "no-orchestrator", "cache");
  EXPECT_TRUE(absl::IsUnavailable(found.status()));
  EXPECT_THAT(std::string(found.status().message()), HasSubstr("no server has been started"));
  EXPECT_THAT(std::string(found.status().message()), HasSubstr("is named with --cache"));
}

TEST(OnOneServerTest, TakesTheOnlyOneAndAsksWhichOfSeveral) {
  FakeServers servers;
  AddProcess(servers.jobs.described, "cache/lab/a", "running", "127.0.0.1:1");
  Captured captured;
  std::vector<std::string> asked;
  const auto command = [&](const std::string& endpoint) {
    asked.push_back(endpoint);
    return kExitDone;
  };
  EXPECT_EQ(OnOneServer(captured.terminal, {"", servers.address(), "cache"}, command), kExitDone);
  EXPECT_EQ(OnOneServer(captured.terminal, {"127.0.0.1:9", "nobody", "cache"}, command), kExitDone);
  AddProcess(servers.jobs.described, "cache/lab/b", "running", "127.0.0.1:2");
  EXPECT_EQ(OnOneServer(captured.terminal, {"", servers.address(), "cache"}, command), kExitFailed);
  EXPECT_THAT(asked, testing::ElementsAre("127.0.0.1:1", "127.0.0.1:9"));
  EXPECT_THAT(captured.err.str(), HasSubstr("--cache 127.0.0.1:2    cache/lab/b"));
}

TEST(OnServersTest, SeveralGetHeadingsAndTheWorstExitCodeCounts) {
  FakeServers servers;
  for (const char* role : {"cache/lab/a", "cache/lab/b"}) {
    AddProcess(servers.jobs.described, role, "running", servers.address());
  }
  Captured captured;
  int calls = 0;
  const auto command = [&](const std::string&) {
    captured.out << "asked\n";
    return calls++ == 0 ? kExitFailed : kExitDone;
  };
  EXPECT_EQ(OnServers(captured.terminal, {"", servers.address(), "cache"}, command), kExitFailed);
  EXPECT_EQ(captured.out.str(), "cache/lab/a at " + servers.address() + "\nasked\ncache/lab/b at " +
                                    servers.address() + "\nasked\n");
  EXPECT_EQ(OnServers(captured.terminal, {"127.0.0.1:9", "nobody", "cache"}, command), kExitDone);
  EXPECT_EQ(calls, 3);
}

}  // namespace
}  // namespace reflux
