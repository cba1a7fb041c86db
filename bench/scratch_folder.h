// A folder for a benchmark's data, removed with it. Torch-free.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace reflux {

class ScratchFolder {
 public:
  // A new folder in `parent`, or in the system's folder for temporary data if that is empty.
  // InvalidArgument when none can be made there.
  static absl::StatusOr<std::unique_ptr<ScratchFolder>> Create(const std::string& parent);
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

  const std::string& path() const { return path_; }

 private:
  explicit ScratchFolder(const std::string& path) : path_(path) {}
  const std::string path_;
};

}  // namespace reflux
