// The label of a sample, where a target depends on it: its file, and what the file's values mean.
// Torch-free value types, thread-compatible.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/digest.h"

namespace reflux {

// Value in the file -> class index or the ignored index; any other value is an error.
struct LabelMap {
  int32_t num_classes = 0;   // 1..255
  int32_t ignore_index = 0;  // 0..255, no class
  std::map<int32_t, int32_t> values;
  auto operator<=>(const LabelMap&) const = default;

  // InvalidArgument: a number out of range, or an index that is neither class nor ignored.
  absl::Status Validate() const;
};

struct LabelFile {
  std::string bytes;  // PNG as it lies on disk; empty: the sample has no label, all is ignored
  std::shared_ptr<const LabelMap> map;
};

// SHA-256 over the digest of the encoded bytes (empty for a sample without label) and the map, in
// the layout of docs/cache_format.md: what a target that reads the label is keyed by.
Digest LabelDigest(const Digest& encoded, const LabelMap& map);
Digest LabelDigest(const LabelFile& label);
std::string LabelDigestBytes(const Digest& encoded, const LabelMap& map);  // what is hashed

struct Locator;
// Reads the label of the image at a locator: NotFound when this process does not know the image.
using ReadLabelFn = std::function<absl::StatusOr<LabelFile>(const Locator&)>;

}  // namespace reflux
