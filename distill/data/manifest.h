// Digests of a data set's images and labels, so that nothing is hashed twice. Torch-free.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/digest.h"
#include "distill/data/dataset.h"

namespace reflux {

// SHA-256 of every image of `dataset`, in the order of its samples. Known digests are read from a
// manifest file in `cache_folder` (created if needed), keyed by path, size and modification time; a
// missing, broken or foreign manifest is made anew (it carries its own checksum). A folder that
// cannot be written costs time only.
absl::StatusOr<std::vector<Digest>> SampleDigests(const Dataset& dataset,
                                                  const std::string& cache_folder);

// The same for the encoded labels; an empty digest for a sample without one.
absl::StatusOr<std::vector<Digest>> LabelFileDigests(const Dataset& dataset,
                                                     const std::string& cache_folder);

}  // namespace reflux
