// Values of a store on RADOS as objects of a set's namespace: header and value in one object, what
// is beyond 64 MiB in further ones. Functions, thread-safe.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "cache/rados/rados_format.h"
#include "cache/rados/rados_namespace.h"
#include "common/base/block_pool.h"
#include "common/targets/target.h"

namespace reflux {

// Writes the value; the object that has the key's name is made last and exclusively, so it is there
// with everything or not at all. Whatever a crashed or a simultaneous writer left under that name
// stays if it holds the same value, else it is replaced.
absl::Status WriteValue(RadosNamespace& space, const RadosHeader& header, absl::string_view value);

// A value on its way straight to its place: the memory that `place` names, or a block of `blocks`.
class ValueRead {
 public:
  // `entry` as the index has it. `place` is asked here, if the entry says what to ask it.
  static ValueRead Start(std::shared_ptr<RadosNamespace> space, const TargetKey& key,
                         const RadosEntry& entry, const PlaceFn& place, BlockPool& blocks);
  // Verified; without an owner where `place` said. NotFound: no such object. DataLoss: not the
  // target that was put, or not the one of the entry. Once.
  absl::StatusOr<EncodedTarget> Await();
  const RadosEntry& entry() const { return entry_; }

 private:
  ValueRead(std::shared_ptr<RadosNamespace> space, const TargetKey& key, const RadosEntry& entry,
            const PlaceFn& place, BlockPool& blocks);
  std::vector<RadosReading::Memory> HeadAndFirst();
  absl::StatusOr<RadosHeader> AwaitHeader();
  absl::Status ReadParts(const RadosHeader& header);

  std::shared_ptr<RadosNamespace> space_;
  TargetKey key_;
  RadosEntry entry_;
  char* value_;
  std::shared_ptr<char> block_;  // where the value is, unless it was given a place
  std::unique_ptr<std::array<char, kRadosHeaderSize>> head_;  // does not move
  RadosReading reading_;  // goes first: it writes into the others
};

absl::StatusOr<RadosHeader> ReadHeader(RadosNamespace& space, const TargetKey& key);

// Removes the objects of a key; OK if there are none. `size` as the index has it.
absl::Status RemoveValue(RadosNamespace& space, const TargetKey& key, uint64_t size);

}  // namespace reflux
