// A program for tests of the supervisor, without a shell:
//   exit CODE          ends at once
//   wait               until killed
//   say TEXT CODE      prints and ends
//   graceful FILE      writes FILE.ready, then FILE at SIGTERM, and ends with 4
//   stubborn           ignores SIGTERM
//   family FILE        starts a daemon that ignores SIGTERM, writes its pid to FILE, waits
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

namespace {

[[noreturn]] void WaitForEver() {
  while (true) pause();
}

// By rename, so that a reader never sees half of it.
void Publish(const std::string& file, const std::string& text) {
  std::ofstream(file + ".tmp") << text;
  rename((file + ".tmp").c_str(), file.c_str());
}

void WaitForSigterm(const std::string& ready) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  Publish(ready, "ready");
  int received = 0;
  sigwait(&set, &received);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string mode = argc > 1 ? argv[1] : "";
  if (mode == "exit") return std::atoi(argv[2]);
  if (mode == "wait") WaitForEver();
  if (mode == "say") {
    std::puts(argv[2]);
    return std::atoi(argv[3]);
  }
  if (mode == "graceful") {
    WaitForSigterm(std::string(argv[2]) + ".ready");
    Publish(argv[2], "stopped");
    return 4;
  }
  if (mode == "stubborn") {
    signal(SIGTERM, SIG_IGN);
    WaitForEver();
  }
  if (mode == "family") {
    if (fork() == 0) {
      setsid();
      signal(SIGTERM, SIG_IGN);
      if (fork() != 0) _exit(0);  // the daemon's parent leaves
      Publish(argv[2], std::to_string(getpid()));
      WaitForEver();
    }
    WaitForEver();
  }
  return 2;
}
