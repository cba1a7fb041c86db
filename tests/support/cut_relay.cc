#include "tests/support/cut_relay.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace reflux {
namespace {

int PortOf(const std::string& address) {
  int port = 0;
  EXPECT_TRUE(absl::SimpleAtoi(address.substr(address.rfind(':') + 1), &port)) << address;
  return port;
}

sockaddr_in Loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  return address;
}

bool SendAll(int to, const char* bytes, ssize_t size) {
  for (ssize_t sent = 0; size > 0; bytes += sent, size -= sent) {
    sent = send(to, bytes, static_cast<size_t>(size), MSG_NOSIGNAL);
    if (sent <= 0) return false;
  }
  return true;
}

void Close(int socket, CutRelay::End end) {
  const linger at_once{.l_onoff = 1, .l_linger = 0};  // close then resets
  if (end == CutRelay::End::kReset) {
    setsockopt(socket, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
  }
  close(socket);
}

}  // namespace

CutRelay::CutRelay(const std::string& to, int64_t bytes, End end)
    : server_port_(PortOf(to)), limit_(bytes), end_(end) {
  sockaddr_in address = Loopback(0);
  socklen_t size = sizeof(address);
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const bool listens = bind(listener_, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                       listen(listener_, 16) == 0 && pipe(wake_) == 0;
  getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
  EXPECT_TRUE(listens) << "the relay cannot listen";
  address_ = absl::StrCat("127.0.0.1:", ntohs(address.sin_port));
  thread_ = std::thread([this] { Loop(); });
}

CutRelay::~CutRelay() {
  close(wake_[1]);
  thread_.join();
  while (!flows_.empty()) Drop(flows_.begin()->first, End::kClose);
  close(wake_[0]);
  close(listener_);
}

void CutRelay::Loop() {
  while (true) {
    std::vector<pollfd> watched = {{wake_[0], POLLIN, 0}, {listener_, POLLIN, 0}};
    for (const auto& [from, flow] : flows_) watched.push_back({from, POLLIN, 0});
    poll(watched.data(), watched.size(), -1);
    if (watched[0].revents != 0) return;
    if (watched[1].revents != 0) Accept();
    for (size_t i = 2; i < watched.size(); ++i) {
      if (watched[i].revents != 0 && flows_.contains(watched[i].fd)) Pass(watched[i].fd);
    }
  }
}

void CutRelay::Accept() {
  const int client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
  const int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = Loopback(server_port_);
  const bool connected =
      connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  flows_[client] = {.to = server, .counted = false};
  flows_[server] = {.to = client, .counted = connections_++ == 0};
  if (!connected) {
    Drop(client, End::kClose);
  } else if (flows_[server].counted && limit_ == 0) {
    Drop(client, end_);
  }
}

void CutRelay::Pass(int from) {
  const Flow flow = flows_.at(from);
  std::array<char, 64 << 10> bytes;
  const int64_t most = flow.counted ? limit_ - passed_ : int64_t{bytes.size()};
  const ssize_t size =
      recv(from, bytes.data(), static_cast<size_t>(std::min<int64_t>(most, bytes.size())), 0);
  if (size <= 0 || !SendAll(flow.to, bytes.data(), size)) {
    Drop(from, End::kClose);
    return;
  }
  if (!flow.counted) return;
  passed_ += size;
  if (passed_ == limit_) Drop(from, end_);
}

void CutRelay::Drop(int from, End end) {
  const int to = flows_.at(from).to;
  for (const int socket : {from, to}) {
    flows_.erase(socket);
    Close(socket, end);
  }
}

}  // namespace reflux
