// Several teachers as one: the mean of their logits.
#pragma once

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "common/targets/target.h"

namespace reflux {

// SHA-256 over one-byte tags, each followed by what it names: 1 "reflux-ensemble-mean-1"; then for
// every member in order 2, its digest (32 bytes), 3, its preprocessing as eight float64
// little-endian (bgr as 0 or 1, divisor, mean, deviation). Order counts: a sum of floats depends on
// it.
Digest EnsembleDigest(const std::vector<TeacherIdentity>& members);

// Logits alone, unreduced, in the classes' order of the data set, which every member's must be in
// already. Each member decodes and normalises the images by its own preprocessing. Thread-safe as
// the members are; they are asked one after the other. The identity has EnsembleDigest, no
// preprocessing of its own and the members' numerics. InvalidArgument for fewer than two members,
// or when they differ in numerics or number of classes.
absl::StatusOr<std::unique_ptr<TargetSource>> MakeEnsembleSource(
    std::vector<std::unique_ptr<TargetSource>> members);

}  // namespace reflux
