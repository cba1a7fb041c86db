// Starts the program of tests/contract/store_child.cc.
#pragma once

#include <fcntl.h>
#include <spawn.h>
#include <unistd.h>

#include <string>

namespace reflux {

// Of the targets that `put` stores: 200 kB, so that tables are written on the way.
inline constexpr int32_t kStoreChildElements = 50000;

struct StoreChild {
  pid_t pid = -1;
  int input = -1;   // close it to end `hold`
  int output = -1;  // what it writes

  // `program`: its path (the build gives it as REFLUX_STORE_CHILD). pid is -1 when it could not be
  // started.
  static StoreChild Start(std::string program, std::string mode, std::string directory,
                          std::string argument = "") {
    int in[2], out[2];
    StoreChild child;
    if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0) return child;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
    char* const arguments[] = {program.data(), mode.data(), directory.data(), argument.data(),
                               nullptr};
    if (posix_spawn(&child.pid, program.c_str(), &actions, nullptr, arguments, environ) != 0) {
      child.pid = -1;
    }
    posix_spawn_file_actions_destroy(&actions);
    close(in[0]);
    close(out[1]);
    child.input = in[1];
    child.output = out[0];
    return child;
  }
};

}  // namespace reflux
