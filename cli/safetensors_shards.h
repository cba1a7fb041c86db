// Targets as a folder of safetensors files for Python. Not thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/targets/target_archive.h"
#include "common/targets/target_tensor.h"

namespace reflux {

// Writes DIR/targets-00000.safetensors, -00001, ... of about `shard_bytes` each. A tensor is called
// "<SHA-256 of the image> <view> <tap>", with " <SHA-256 of the label>" where that matters; dtypes
// are those of ToTensor.
class SafetensorsShards {
 public:
  explicit SafetensorsShards(std::string folder, int64_t shard_bytes = int64_t{256} << 20)
      : folder_(std::move(folder)), shard_bytes_(shard_bytes) {}

  absl::Status Begin(const ArchiveHeader& header);
  absl::Status Add(const ArchiveEntry& entry);
  absl::Status End() { return Flush(); }
  int shards() const { return shards_; }

 private:
  absl::Status Flush();

  const std::string folder_;
  const int64_t shard_bytes_;
  std::vector<TargetSet> sets_;
  std::map<std::string, std::string> metadata_;
  std::map<std::string, TargetTensor> waiting_;
  int64_t waiting_bytes_ = 0;
  int shards_ = 0;
};

}  // namespace reflux
