// What must be known of a data set's images and labels before they are decoded, so that nothing is
// hashed twice. Torch-free.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/cancellation.h"
#include "common/base/digest.h"
#include "distill/data/dataset.h"

namespace reflux {

// Hashing a data set for the first time reads all of it.
struct HashWatch {
  const Cancellation* stop = nullptr;  // may be null
  // After each file, also one that was known: how many are done, of how many. May be empty.
  std::function<void(int64_t done, int64_t total)> on_done;
};

struct ImageFacts {
  Digest digest;                  // SHA-256 of the encoded image
  int32_t height = 0, width = 0;  // as encoded, pixels; 0: the file holds no image that can be read
};

// Of every image of `dataset`, in the order of its samples. What is known already is read from a
// manifest file in `cache_folder` (created if needed), keyed by path, size and modification time; a
// missing, broken or foreign manifest is made anew (it carries its own checksum). A folder that
// cannot be written costs time only. Cancelled when `watch.stop` fires; what was hashed until then
// is in the manifest.
absl::StatusOr<std::vector<ImageFacts>> ReadImageFacts(const Dataset& dataset,
                                                       const std::string& cache_folder,
                                                       const HashWatch& watch = {});

// The digests alone.
absl::StatusOr<std::vector<Digest>> SampleDigests(const Dataset& dataset,
                                                  const std::string& cache_folder,
                                                  const HashWatch& watch = {});

// The same for the encoded labels; an empty digest for a sample without one.
absl::StatusOr<std::vector<Digest>> LabelFileDigests(const Dataset& dataset,
                                                     const std::string& cache_folder,
                                                     const HashWatch& watch = {});

}  // namespace reflux
