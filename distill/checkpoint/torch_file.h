// The tensors of a file that Python's torch.save wrote: the zip format of PyTorch 1.6 and later
// (<name>/data.pkl, <name>/data/<key>), and the older sequence of pickles. Nothing of the file is
// executed (pickle_reader.h). Torch-free.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "distill/checkpoint/byte_source.h"

namespace reflux {

enum class ElementType : uint8_t { kF64, kF32, kF16, kBF16, kI64, kI32, kU8, kBool };
uint64_t ElementBytes(ElementType type);

// A tensor as a view of a range of the file.
struct StoredTensor {
  ElementType type = ElementType::kF32;
  std::vector<int64_t> shape, strides;  // in elements; strides are not negative
  // Bytes of the file from the first element to the last, gaps of the view included.
  uint64_t begin = 0, end = 0;
};

struct TorchFile {
  bool zip = false;
  bool scripted = false;  // of a TorchScript module (scripted_listing.h), not of torch.save
  // The state dict: the root itself, or the dict under a key such as "state_dict". Prefixes that
  // wrappers add to every name ("module.") are taken off.
  std::map<std::string, StoredTensor> tensors;
  std::string nested_under;                // that key; empty: the root
  std::string prefix;                      // taken off
  std::vector<std::string> other_keys;     // beside the state dict, or in it but no tensor
  std::vector<std::string> inert_classes;  // named by the file beyond tensors; sorted, not loaded
};

// Takes off, as long as every name begins with it, what wrappers add: DataParallel, torch.compile,
// Lightning.
void StripPrefixes(TorchFile& file);

// Whether the bytes look like such a file (a zip file, or a pickle of the old format).
bool LooksLikeTorchFile(const ByteSource& source);

// DataLoss for a damaged file (also one whose stored checksums do not fit), Unimplemented for what
// is not read (compressed entries, sparse and quantised tensors, big-endian data, whole pickled
// modules, TorchScript), InvalidArgument when it holds no state dict. Reads the file once.
absl::StatusOr<TorchFile> ReadTorchFile(std::shared_ptr<const ByteSource> source);

}  // namespace reflux
