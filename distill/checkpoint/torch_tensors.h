// The tensors that a pickle of PyTorch's describes, as ranges of its file. Internal to
// distill/checkpoint.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "distill/checkpoint/torch_file.h"
#include "distill/checkpoint/torch_storages.h"

namespace reflux {

// As thread-safe as its storages, which must outlive it like `source`.
class TensorReader {
 public:
  TensorReader(const ByteSource& source, TorchStorages& storages)
      : source_(source), storages_(storages), graph_(storages.graph()) {}

  bool IsTensor(PickleId id) const;
  // A tensor of a kind that is not read: better refused than left out.
  bool IsForeign(PickleId id) const;
  // `name` is for messages. Unimplemented for a foreign tensor or storage; DataLoss when it does
  // not lie within its storage, and the errors of TorchStorages::Find.
  absl::StatusOr<StoredTensor> Read(const std::string& name, PickleId id) const;

 private:
  absl::Status Broken(absl::string_view what) const;
  PickleId Unwrap(PickleId id) const;
  absl::StatusOr<StoredTensor> ReadTensor(const PickleValue& call) const;
  bool ReadNumbers(PickleId id, std::vector<int64_t>& numbers) const;
  absl::StatusOr<StorageRange> ReadStorage(const PickleValue& persistent) const;
  absl::StatusOr<StorageRange> View(const PickleValue& place, StorageRange range) const;
  absl::Status Place(const StorageRange& storage, int64_t offset, StoredTensor& tensor) const;

  const ByteSource& source_;
  TorchStorages& storages_;
  const PickleGraph& graph_;
};

}  // namespace reflux
