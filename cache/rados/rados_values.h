// Values of a store on RADOS as objects of a set's namespace: header and value in one object, what
// is beyond 64 MiB in further ones. Functions, thread-safe.
#pragma once

#include <memory>
#include <string>

#include "cache/rados/rados_format.h"
#include "cache/rados/rados_namespace.h"

namespace reflux {

// Writes the value; the object that has the key's name is made last and exclusively, so it is there
// with everything or not at all. Whatever a crashed or a simultaneous writer left under that name
// stays if it holds the same value, else it is replaced.
absl::Status WriteValue(RadosNamespace& space, const RadosHeader& header, absl::string_view value);

// A value on its way straight into the memory that its target will own.
class ValueRead {
 public:
  // `size`: of the value, as the index has it.
  static ValueRead Start(std::shared_ptr<RadosNamespace> space, const TargetKey& key,
                         const TargetSetId& set, uint64_t size);
  // Verified. NotFound: no such object. DataLoss: not the target that was put. Once.
  absl::StatusOr<EncodedTarget> Await();
  uint64_t size() const { return size_; }
  const TargetSetId& set() const { return set_; }

 private:
  ValueRead(std::shared_ptr<RadosNamespace> space, const TargetKey& key, const TargetSetId& set,
            uint64_t size, std::shared_ptr<char[]> bytes, RadosNamespace::Reading head)
      : space_(std::move(space)),
        key_(key),
        set_(set),
        size_(size),
        bytes_(std::move(bytes)),
        head_(std::move(head)) {}
  absl::Status ReadParts(const RadosHeader& header);

  std::shared_ptr<RadosNamespace> space_;
  TargetKey key_;
  TargetSetId set_;
  uint64_t size_;
  std::shared_ptr<char[]> bytes_;  // header and value
  RadosNamespace::Reading head_;   // goes first: it writes into `bytes_`
};

absl::StatusOr<RadosHeader> ReadHeader(RadosNamespace& space, const TargetKey& key);

// Removes the objects of a key; OK if there are none. `size` as the index has it.
absl::Status RemoveValue(RadosNamespace& space, const TargetKey& key, uint64_t size);

}  // namespace reflux
