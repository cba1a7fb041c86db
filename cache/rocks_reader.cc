#include "cache/rocks_reader.h"

#include <utility>

#include "cache/rocks_read.h"
#include "common/base/status_macros.h"

namespace reflux {

absl::StatusOr<std::unique_ptr<RocksReader>> RocksReader::Open(const std::string& directory) {
  REFLUX_ASSIGN_OR_RETURN(std::shared_ptr<RocksHandles> handles, OpenRocksToRead(directory));
  return std::unique_ptr<RocksReader>(new RocksReader(std::move(handles)));
}

absl::StatusOr<EncodedTarget> RocksReader::Get(const TargetKey& key, const PlaceFn& place) {
  REFLUX_ASSIGN_OR_RETURN(StoredTarget stored, ReadTarget(handles_, key, place));
  return std::move(stored.target);
}

absl::Status RocksReader::CatchUp() {
  return FromRocks(handles_->db->TryCatchUpWithPrimary(), "cache folder");
}

}  // namespace reflux
