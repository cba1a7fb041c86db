// Reading the logs of processes. Thread-safe.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace reflux {

struct LogPart {
  std::string content;
  int64_t next_offset = 0;
};

// Bytes from `offset` of the files taken as one, oldest first (a process that was restarted has a
// log for each launch); negative counts from the end. Files that do not exist are empty.
absl::StatusOr<LogPart> ReadLogFiles(const std::vector<std::string>& files, int64_t offset,
                                     int64_t max_bytes);

// The last non-empty lines, at most 2 KiB, printable ASCII (anything else becomes '?'). Empty when
// there is no log.
std::string LastLines(const std::string& file, int lines);

}  // namespace reflux
