#include "bench/scratch_folder.h"

#include <stdlib.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"

namespace reflux {

namespace fs = std::filesystem;

absl::StatusOr<std::unique_ptr<ScratchFolder>> ScratchFolder::Create(const std::string& parent) {
  std::string path =
      (parent.empty() ? fs::temp_directory_path() : fs::path(parent)) / "reflux-bench-XXXXXX";
  if (mkdtemp(path.data()) == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat("no folder ", path, ": ", std::strerror(errno)));
  }
  return std::unique_ptr<ScratchFolder>(new ScratchFolder(path));
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

}  // namespace reflux
