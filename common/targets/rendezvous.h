// Which of several servers answers for a sample: rendezvous (highest random weight) hashing, Thaler
// and Ravishankar, "Using name-based mappings to increase hit rates", IEEE/ACM Transactions on
// Networking 6(1), 1998.
//
// Every client that knows the same names comes to the same order without talking to anybody. A
// server that leaves gives up its own samples and no others, each to the next in that sample's
// order; one that joins takes its share and nothing else moves. Pure functions, thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "common/targets/target_key.h"

namespace reflux {

// The key by which a sample finds its server: the target key with an empty tap, so that all taps of
// one image and view lie with one server and cost its teacher a single forward.
TargetKey PlacementKey(const TeacherIdentity& teacher, const SampleRef& sample);

// XXH3-64 over the key's 32 bytes followed by the name (docs/scale_out.md).
uint64_t RendezvousScore(const TargetKey& key, absl::string_view name);

// Indices of `names`, highest score first; equal scores by name.
std::vector<size_t> RendezvousOrder(const TargetKey& key, const std::vector<std::string>& names);

}  // namespace reflux
