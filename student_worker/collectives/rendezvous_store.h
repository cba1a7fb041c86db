// Where the ranks of a job find each other: a key-value store that rank 0 serves over TCP.
//
// Copies share one store. It must live as long as anything connected through it: on rank 0 it is
// the server. Thread-safe.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace reflux {

class RendezvousStore {
 public:
  // "host:port" for JoinStore on the other ranks. Empty for a store within one process.
  const std::string& address() const;
  // The address of this host that the store is reached through: loopback for a store on loopback.
  // Ranks listen there for each other.
  const std::string& local_address() const;

  struct State;  // rendezvous_state.h
  explicit RendezvousStore(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  const State& state() const { return *state_; }

 private:
  std::shared_ptr<const State> state_;
};

struct HostStoreOptions {
  // Address or name of this host to listen on, and to give to the others. The protocol has neither
  // authentication nor encryption: away from loopback use a private network.
  std::string host = "127.0.0.1";
  absl::Duration timeout = absl::Seconds(60);  // of each operation on the store
};

// Serves a store on a port that the system chooses. Returns at once, without waiting for others.
// InvalidArgument when `host` is not an address of this host, Unavailable when it cannot be served.
absl::StatusOr<RendezvousStore> HostStore(const HostStoreOptions& options);

// Connects to the store at "host:port", trying until `timeout`; then Unavailable. InvalidArgument
// for an address of another form or an unknown host.
absl::StatusOr<RendezvousStore> JoinStore(absl::string_view address, absl::Duration timeout);

// A store for ranks that are threads of this process.
RendezvousStore InProcessStore();

}  // namespace reflux
