// A file that appears whole or not at all, written in pieces.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace reflux {

// Pieces go to a temporary file beside `path`; Publish syncs and renames it. Destroyed before that,
// it leaves nothing behind. Not thread-safe.
class AtomicFile {
 public:
  // The errors of ErrnoStatus (file.h), as of the functions below.
  static absl::StatusOr<AtomicFile> Create(const std::string& path);
  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&&) = delete;
  ~AtomicFile();

  absl::Status Append(absl::string_view piece);
  // After it readers see the new file, also after a crash. Nothing may follow.
  absl::Status Publish();

 private:
  AtomicFile(std::string path, std::string temporary, int fd);

  std::string path_, temporary_;
  int fd_;  // -1: published, or moved from
};

}  // namespace reflux
