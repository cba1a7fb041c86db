#include "tests/ceph/ceph_cluster.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/status_macros.h"

namespace reflux {

absl::StatusOr<std::unique_ptr<CephCluster>> CephCluster::Start(const std::string& folder,
                                                                int osds) {
  const char* source = std::getenv("REFLUX_SOURCE");
  if (source == nullptr) return absl::UnavailableError("REFLUX_SOURCE is not set: run it by ctest");
  std::string script = absl::StrCat(source, "/tests/ceph/cluster.sh"), directory = folder;
  std::string count = absl::StrCat(osds);
  int in[2], out[2];
  if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0) {
    return absl::InternalError("no pipe for the cluster");
  }
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
  char* const arguments[] = {script.data(), directory.data(), count.data(), nullptr};
  auto cluster = std::unique_ptr<CephCluster>(new CephCluster);
  const int failed =
      posix_spawn(&cluster->pid_, script.c_str(), &actions, nullptr, arguments, environ);
  posix_spawn_file_actions_destroy(&actions);
  close(in[0]);
  close(out[1]);
  cluster->input_ = in[1];
  cluster->output_ = out[0];
  cluster->configuration_ = folder + "/ceph.conf";
  if (failed != 0) return absl::InternalError(absl::StrCat("cannot start ", script));
  REFLUX_ASSIGN_OR_RETURN(const std::string line, cluster->ReadLine());
  if (line == "ready") return cluster;
  absl::string_view why = line;
  if (absl::ConsumePrefix(&why, "skip: ")) return absl::UnavailableError(why);
  return absl::InternalError(absl::StrCat(script, ": ", line));
}

CephCluster::~CephCluster() {
  close(input_);  // the script's end
  close(output_);
  int status = 0;
  if (pid_ > 0) waitpid(pid_, &status, 0);
}

absl::StatusOr<std::string> CephCluster::ReadLine() {
  std::string line;
  char byte = 0;
  while (read(output_, &byte, 1) == 1) {
    if (byte == '\n') return line;
    line.push_back(byte);
  }
  return absl::InternalError(absl::StrCat("the cluster's script ended; last words: '", line, "'"));
}

absl::Status CephCluster::Tell(const std::string& verb, int osd) {
  const std::string line = absl::StrCat(verb, " ", osd, "\n");
  if (write(input_, line.data(), line.size()) != static_cast<ssize_t>(line.size())) {
    return absl::InternalError("the cluster's script has ended");
  }
  REFLUX_ASSIGN_OR_RETURN(const std::string answer, ReadLine());
  return answer == "ok" ? absl::OkStatus() : absl::InternalError(answer);
}

}  // namespace reflux
