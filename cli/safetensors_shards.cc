#include "cli/safetensors_shards.h"

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cli/view_text.h"
#include "common/base/file.h"
#include "common/base/safetensors_writer.h"
#include "common/base/status_macros.h"
#include "common/targets/find_sets.h"

namespace reflux {
namespace {

std::string TensorName(const TargetOrigin& origin, const TargetSet& set) {
  std::string name = absl::StrCat(origin.sample.Hex(), " ", ViewText(origin.view), " ",
                                  TargetName(set.spec.tap, set.spec.reduction));
  if (!origin.label.empty()) absl::StrAppend(&name, " ", origin.label.Hex());
  return name;
}

}  // namespace

absl::Status SafetensorsShards::Begin(const ArchiveHeader& header) {
  std::error_code error;
  std::filesystem::create_directories(folder_, error);
  if (error) return ErrnoStatus(error.value(), "cannot create the folder", folder_);
  sets_ = header.sets;
  metadata_ = {{"licence", header.licence},
               {"dataset", sets_[0].dataset},
               {"model", sets_[0].model},
               {"teacher", sets_[0].teacher.digest.Hex()}};
  return absl::OkStatus();
}

absl::Status SafetensorsShards::Add(const ArchiveEntry& entry) {
  const TargetSet& set = sets_[entry.set];
  std::string name = TensorName(entry.origin, set);
  if (waiting_.count(name) > 0) {
    return absl::FailedPreconditionError(absl::StrCat(
        "a map is stored with several codecs: export one of them, e.g. ", FullName(set)));
  }
  REFLUX_ASSIGN_OR_RETURN(TargetTensor tensor, ToTensor(entry.target));
  waiting_bytes_ += static_cast<int64_t>(tensor.bytes().size());
  waiting_.emplace(std::move(name), std::move(tensor));
  return waiting_bytes_ < shard_bytes_ ? absl::OkStatus() : Flush();
}

absl::Status SafetensorsShards::Flush() {
  if (waiting_.empty()) return absl::OkStatus();
  std::vector<TensorBytes> tensors;
  for (const auto& [name, tensor] : waiting_) {
    tensors.push_back(
        {name, tensor.dtype, {tensor.shape.begin(), tensor.shape.end()}, tensor.bytes()});
  }
  char file[32];
  std::snprintf(file, sizeof(file), "targets-%05d.safetensors", shards_++);
  REFLUX_RETURN_IF_ERROR(
      WriteSafetensorsFile(absl::StrCat(folder_, "/", file), std::move(tensors), metadata_));
  waiting_.clear();
  waiting_bytes_ = 0;
  return absl::OkStatus();
}

}  // namespace reflux
