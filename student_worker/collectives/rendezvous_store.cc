#include "student_worker/collectives/rendezvous_store.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <torch/csrc/distributed/c10d/HashStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "student_worker/collectives/c10_status.h"
#include "student_worker/collectives/rendezvous_state.h"

namespace reflux {
namespace {

struct FileDescriptor {
  explicit FileDescriptor(int value) : fd(value) {}
  FileDescriptor(FileDescriptor&& other) noexcept : fd(std::exchange(other.fd, -1)) {}
  ~FileDescriptor() {
    if (fd >= 0) close(fd);
  }
  int fd;
};

absl::Status SystemError(absl::StatusCode code, absl::string_view what) {
  return absl::Status(code, absl::StrCat(what, ": ", std::strerror(errno)));
}

// The IPv4 address of a name or a dotted quad.
absl::StatusOr<sockaddr_in> Resolve(const std::string& host, uint16_t port) {
  addrinfo hints{};
  hints.ai_family = AF_INET;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int error = getaddrinfo(host.c_str(), nullptr, &hints, &found); error != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("rendezvous host '", host, "': ", gai_strerror(error)));
  }
  sockaddr_in address;
  std::memcpy(&address, found->ai_addr, sizeof(address));
  freeaddrinfo(found);
  address.sin_port = htons(port);
  return address;
}

absl::StatusOr<sockaddr_in> BoundAddress(const FileDescriptor& socket) {
  sockaddr_in address{};
  socklen_t size = sizeof(address);
  if (getsockname(socket.fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    return SystemError(absl::StatusCode::kInternal, "address of a rendezvous socket");
  }
  return address;
}

// A datagram socket, connected but never written to, tells which of our addresses leads there.
absl::StatusOr<std::string> LocalAddressTowards(const sockaddr_in& remote) {
  const FileDescriptor probe(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (probe.fd < 0 ||
      connect(probe.fd, reinterpret_cast<const sockaddr*>(&remote), sizeof(remote)) != 0) {
    return SystemError(absl::StatusCode::kUnavailable, "no route to the rendezvous store");
  }
  REFLUX_ASSIGN_OR_RETURN(const sockaddr_in local, BoundAddress(probe));
  char text[INET_ADDRSTRLEN];
  return std::string(inet_ntop(AF_INET, &local.sin_addr, text, sizeof(text)));
}

absl::StatusOr<FileDescriptor> BoundSocket(const std::string& host) {
  REFLUX_ASSIGN_OR_RETURN(const sockaddr_in address, Resolve(host, 0));
  FileDescriptor listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (listener.fd < 0) return SystemError(absl::StatusCode::kUnavailable, "rendezvous socket");
  if (bind(listener.fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return SystemError(absl::StatusCode::kInvalidArgument,
                       absl::StrCat("cannot serve the rendezvous store on '", host, "'"));
  }
  return listener;
}

absl::StatusOr<RendezvousStore> OpenTcpStore(const std::string& host,
                                             const c10d::TCPStoreOptions& options) {
  REFLUX_ASSIGN_OR_RETURN(const sockaddr_in remote, Resolve(host, options.port));
  RendezvousStore::State state;
  REFLUX_ASSIGN_OR_RETURN(state.local_address, LocalAddressTowards(remote));
  state.address = absl::StrCat(host, ":", options.port);
  REFLUX_RETURN_IF_ERROR(CatchRendezvousErrors(
      absl::StrCat("rendezvous store ", state.address),
      [&] { state.store = c10::make_intrusive<c10d::TCPStore>(host, options); }));
  return RendezvousStore(std::make_shared<const RendezvousStore::State>(std::move(state)));
}

}  // namespace

const std::string& RendezvousStore::address() const { return state_->address; }
const std::string& RendezvousStore::local_address() const { return state_->local_address; }

absl::StatusOr<RendezvousStore> HostStore(const HostStoreOptions& options) {
  // TCPStore alone would listen on every interface; a socket bound by us keeps it to one.
  REFLUX_ASSIGN_OR_RETURN(FileDescriptor listener, BoundSocket(options.host));
  REFLUX_ASSIGN_OR_RETURN(const sockaddr_in bound, BoundAddress(listener));
  c10d::TCPStoreOptions tcp;
  tcp.port = ntohs(bound.sin_port);
  tcp.isServer = true;
  tcp.waitWorkers = false;
  tcp.timeout = absl::ToChronoMilliseconds(options.timeout);
  // TCPStore owns it from here on, also when it throws after having taken it.
  tcp.masterListenFd = std::exchange(listener.fd, -1);
  return OpenTcpStore(options.host, tcp);
}

absl::StatusOr<RendezvousStore> JoinStore(absl::string_view address, absl::Duration timeout) {
  const size_t colon = address.rfind(':');
  uint32_t port = 0;
  if (colon == absl::string_view::npos || colon == 0 ||
      !absl::SimpleAtoi(address.substr(colon + 1), &port) || port == 0 || port > 65535) {
    return absl::InvalidArgumentError(
        absl::StrCat("rendezvous address '", address, "' is not of the form host:port"));
  }
  c10d::TCPStoreOptions tcp;
  tcp.port = static_cast<uint16_t>(port);
  tcp.waitWorkers = false;
  tcp.timeout = absl::ToChronoMilliseconds(timeout);
  return OpenTcpStore(std::string(address.substr(0, colon)), tcp);
}

RendezvousStore InProcessStore() {
  RendezvousStore::State state;
  state.local_address = "127.0.0.1";
  state.store = c10::make_intrusive<c10d::HashStore>();
  return RendezvousStore(std::make_shared<const RendezvousStore::State>(std::move(state)));
}

}  // namespace reflux
