// A TCP relay that breaks in the middle of an answer.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <string>
#include <thread>

namespace reflux {

class CutRelay {
 public:
  // How the client sees the end: an orderly one, or a reset that may also take back bytes which it
  // has not read yet.
  enum class End { kClose, kReset };

  // Listens on loopback and relays to the server at host:port `to`. The first connection ends when
  // `bytes` of the server's answer have passed; later ones are whole. Fails the test if it cannot
  // listen.
  CutRelay(const std::string& to, int64_t bytes, End end = End::kClose);
  ~CutRelay();
  CutRelay(const CutRelay&) = delete;
  CutRelay& operator=(const CutRelay&) = delete;

  const std::string& address() const { return address_; }
  // Bytes of the server that the first connection has passed on.
  int64_t passed() const { return passed_; }

 private:
  struct Flow {
    int to;        // where what comes goes
    bool counted;  // the server's answer on the first connection
  };
  void Loop();
  void Accept();
  // Passes on what has come, or ends the connection.
  void Pass(int from);
  void Drop(int from, End end);

  const int server_port_;
  const int64_t limit_;
  const End end_;
  std::string address_;
  int listener_ = -1, wake_[2] = {-1, -1};
  int connections_ = 0;
  std::map<int, Flow> flows_;  // by where it comes from; of the thread
  std::atomic<int64_t> passed_{0};
  std::thread thread_;
};

}  // namespace reflux
