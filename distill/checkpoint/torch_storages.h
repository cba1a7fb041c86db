// Where the storages of a torch.save file lie. Internal to distill/checkpoint.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "distill/checkpoint/pickle_reader.h"
#include "distill/checkpoint/torch_file.h"
#include "distill/checkpoint/zip_archive.h"

namespace reflux {

struct StorageRange {
  ElementType type = ElementType::kF32;
  uint64_t begin = 0, elements = 0;
};

// One of the two formats, open. Thread-safe.
class TorchStorages {
 public:
  virtual ~TorchStorages() = default;
  virtual const PickleGraph& graph() const = 0;
  // Of the storage with this key and type. DataLoss when it lies outside of the file or holds fewer
  // elements than `elements`; checksums are compared the first time.
  virtual absl::StatusOr<StorageRange> Find(const std::string& key, ElementType type,
                                            uint64_t elements) = 0;
};

absl::StatusOr<std::unique_ptr<TorchStorages>> OpenZipStorages(
    std::shared_ptr<const ByteSource> source);
// Of the module in a TorchScript file, which OpenZipStorages refuses.
absl::StatusOr<std::unique_ptr<TorchStorages>> OpenScriptedStorages(
    std::shared_ptr<const ByteSource> source);
absl::StatusOr<std::unique_ptr<TorchStorages>> OpenLegacyStorages(
    std::shared_ptr<const ByteSource> source);

// True when the first bytes are the old format's magic number, pickled.
bool HasLegacyMagic(const ByteSource& source);
bool HasZipMagic(const ByteSource& source);

// "torch.FloatStorage" and its kin, also of "torch.cuda"; Unimplemented for others.
absl::StatusOr<ElementType> StorageElementType(const std::string& class_name);

}  // namespace reflux
