// The identity of a stored target: why a cache hit can never be wrong.
//
// Both identities are SHA-256 digests over a byte layout of our own (docs/cache_format.md, pinned
// by golden bytes in a test): everything that could change a bit of the target is in it, and
// nothing else. Pure functions, thread-safe, never fail.
#pragma once

#include <compare>
#include <string>
#include <utility>

#include "common/targets/target.h"

namespace reflux {

// Raised whenever the layout below changes; old entries then are misses.
inline constexpr uint32_t kTargetKeyVersion = 1;

// Names one target: what one teacher says about one view of one sample at one tap.
struct TargetKey {
  Digest digest;
  auto operator<=>(const TargetKey&) const = default;
  template <typename H>
  friend H AbslHashValue(H h, const TargetKey& key) {
    return H::combine(std::move(h), key.digest);
  }
};

// The bytes that are hashed. Of `sample` only digest and view count, and with a reduction that
// reads labels the label digest: neither path nor image bytes.
std::string TargetKeyBytes(const TeacherIdentity& teacher, const SampleRef& sample,
                           const TargetSpec& spec);
TargetKey MakeTargetKey(const TeacherIdentity& teacher, const SampleRef& sample,
                        const TargetSpec& spec);

// What a stored target was made from: with its set's teacher and spec it gives the key again.
struct TargetOrigin {
  Digest sample;  // SHA-256 of the encoded image
  View view;
  Digest label;  // empty unless the reduction reads labels
  auto operator<=>(const TargetOrigin&) const = default;
};

// The origin as bytes (docs/cache_format.md): sample, view, label.
inline constexpr size_t kTargetOriginSize = 89;
std::string EncodeTargetOrigin(const TargetOrigin& origin);
// InvalidArgument unless `bytes` are an origin with a view that is one.
absl::StatusOr<TargetOrigin> DecodeTargetOrigin(absl::string_view bytes);

// What people see of a cache: the targets of one data set from one teacher at one tap.
struct TargetSet {
  std::string dataset;
  TeacherIdentity teacher;
  TargetSpec spec;
  std::string model;  // provenance: shown, not part of the identity

  // "camvid/deeplabv3_resnet101@9f3c01ab".
  std::string DisplayName() const;
};

struct TargetSetId {
  Digest digest;
  auto operator<=>(const TargetSetId&) const = default;
  template <typename H>
  friend H AbslHashValue(H h, const TargetSetId& id) {
    return H::combine(std::move(h), id.digest);
  }
};

// The key of a target of `set`.
TargetKey MakeTargetKey(const TargetSet& set, const TargetOrigin& origin);

std::string TargetSetBytes(const TargetSet& set);
TargetSetId MakeTargetSetId(const TargetSet& set);

}  // namespace reflux
