// Reads Python's pickle format without executing anything.
//
// The format is a program for a small stack machine whose REDUCE, BUILD and NEWOBJ instructions
// call whatever a file names (docs.python.org/3/library/pickletools). Here they only record the
// name and the arguments: a class that is not a dict is an inert node of the graph. Read are the
// instructions of protocols 2 to 5 that dicts, tuples, numbers, strings and objects need; others
// (protocol 0's text forms, extension codes, out-of-band buffers) are refused by name.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace reflux {

using PickleId = int32_t;  // index into PickleGraph::values
constexpr PickleId kNoPickleValue = -1;

struct PickleValue {
  enum class Kind : uint8_t {
    kNone,
    kBool,
    kInteger,
    kLong,  // an integer beyond 64 bits; `text`: two's complement, little-endian
    kFloat,
    kString,
    kBytes,
    kTuple,
    kList,        // also a set
    kDict,        // also collections.OrderedDict and defaultdict
    kClass,       // `text`: "module.name", never imported
    kObject,      // a call of kClass `text`, not made
    kPersistent,  // `arguments`: the value that names it
  };
  Kind kind = Kind::kNone;
  int64_t integer = 0;  // kBool, kInteger
  double real = 0;      // kFloat
  std::string text;
  std::vector<PickleId> items;          // elements; of a dict keys and values by turns
  PickleId arguments = kNoPickleValue;  // kObject, kPersistent
  PickleId state = kNoPickleValue;      // what BUILD would have set
};

// Values refer to one another by number; a hostile graph may contain itself.
struct PickleGraph {
  std::vector<PickleValue> values;
  PickleId root = kNoPickleValue;
  uint64_t bytes = 0;  // length of the pickle, which may be followed by others

  const PickleValue& operator[](PickleId id) const { return values[id]; }
  // Of a dict: the value under the string `key`, or kNoPickleValue. The last one, as in Python.
  PickleId Find(PickleId dict, absl::string_view key) const;
};

constexpr size_t kMaxPickleBytes = size_t{32} << 20;
constexpr size_t kMaxPickleValues = size_t{1} << 20;

// The pickle at the start of `bytes`. DataLoss when it is truncated or breaks the format;
// Unimplemented for an instruction not read here; ResourceExhausted above kMaxPickleValues. Takes
// memory and time in proportion to the bytes read. Texts that are used again have at most
// kMaxPickleBytes letters in all, so that who spells each use out is bounded too.
absl::StatusOr<PickleGraph> ReadPickle(absl::string_view bytes);

}  // namespace reflux
