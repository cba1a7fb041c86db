// A folder for temporary files, removed with all that is in it.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <system_error>

#include "absl/status/statusor.h"
#include "common/base/file.h"

namespace reflux {

class ScratchFolder {
 public:
  // Makes `path` anew, with the folders above it.
  static absl::StatusOr<std::unique_ptr<ScratchFolder>> Create(const std::string& path) {
    std::error_code error;
    std::filesystem::remove_all(path, error);
    std::filesystem::create_directories(path, error);
    if (error) return ErrnoStatus(error.value(), "cannot create", path);
    return std::unique_ptr<ScratchFolder>(new ScratchFolder(path));
  }
  ~ScratchFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  explicit ScratchFolder(const std::string& path) : path_(path) {}
  const std::string path_;
};

}  // namespace reflux
