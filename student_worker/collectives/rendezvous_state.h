// What a RendezvousStore holds; apart, because c10d's headers are slow to compile.
#pragma once

#include <string>
#include <torch/csrc/distributed/c10d/Store.hpp>

#include "student_worker/collectives/rendezvous_store.h"

namespace reflux {

struct RendezvousStore::State {
  std::string address;
  std::string local_address;
  c10::intrusive_ptr<c10d::Store> store;
};

}  // namespace reflux
