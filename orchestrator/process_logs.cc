#include "orchestrator/process_logs.h"

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "absl/strings/ascii.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace reflux {
namespace {

int64_t SizeOf(const std::string& file) {
  std::error_code error;
  const auto size = std::filesystem::file_size(file, error);
  return error ? 0 : static_cast<int64_t>(size);
}

}  // namespace

absl::StatusOr<LogPart> ReadLogFiles(const std::vector<std::string>& files, int64_t offset,
                                     int64_t max_bytes) {
  int64_t total = 0;
  for (const std::string& file : files) total += SizeOf(file);
  if (offset < 0) offset = std::max<int64_t>(0, total + offset);
  LogPart part;
  int64_t begin = 0;  // of the file within all of them
  for (const std::string& file : files) {
    const int64_t size = SizeOf(file);
    const int64_t from = offset + static_cast<int64_t>(part.content.size()) - begin;
    const int64_t wanted =
        std::min(size - from, max_bytes - static_cast<int64_t>(part.content.size()));
    if (from >= 0 && wanted > 0) {
      std::ifstream stream(file, std::ios::binary);
      stream.seekg(from);
      const size_t had = part.content.size();
      part.content.resize(had + wanted);
      stream.read(part.content.data() + had, wanted);
      part.content.resize(had + std::max<int64_t>(0, stream.gcount()));
      if (stream.gcount() < wanted) break;
    }
    begin += size;
  }
  part.next_offset = std::min(offset, total) + static_cast<int64_t>(part.content.size());
  return part;
}

std::string LastLines(const std::string& file, int lines) {
  constexpr int64_t kMaxBytes = 2048;
  const absl::StatusOr<LogPart> tail = ReadLogFiles({file}, -kMaxBytes, kMaxBytes);
  if (!tail.ok()) return "";
  std::string text = tail->content;
  for (char& c : text) {
    if (c != '\n' && !absl::ascii_isprint(static_cast<unsigned char>(c))) c = '?';
  }
  std::vector<std::string> all = absl::StrSplit(text, '\n', absl::SkipWhitespace());
  if (all.size() > static_cast<size_t>(lines)) all.erase(all.begin(), all.end() - lines);
  return absl::StrJoin(all, "\n");
}

}  // namespace reflux
