#include "tests/support/stored_zip.h"

#include <zlib.h>

#include <cstdint>

namespace reflux {
namespace {

void Put(std::string& bytes, uint64_t value, int count) {
  for (int i = 0; i < count; ++i) bytes += static_cast<char>(value >> (8 * i));
}

uint32_t Crc(const std::string& content) {
  return static_cast<uint32_t>(
      crc32(0, reinterpret_cast<const Bytef*>(content.data()), static_cast<uInt>(content.size())));
}

// What the header of an entry and its place in the directory share: from the flags to the length of
// the name.
std::string Common(const std::string& name, const std::string& content) {
  std::string common;
  Put(common, 0, 8);
  Put(common, Crc(content), 4);
  for (int i = 0; i < 2; ++i) Put(common, content.size(), 4);
  Put(common, name.size(), 2);
  return common;
}

}  // namespace

std::string StoredZip(const std::vector<std::pair<std::string, std::string>>& entries) {
  std::string file, directory;
  for (const auto& [name, content] : entries) {
    const std::string common = Common(name, content);
    directory += std::string("PK\1\2\0\0\0\0", 8) + common;
    directory.append(12, '\0');
    Put(directory, file.size(), 4);
    directory += name;
    file += std::string("PK\3\4\0\0", 6) + common + std::string(2, '\0') + name + content;
  }
  std::string end("PK\5\6\0\0\0\0", 8);
  for (int i = 0; i < 2; ++i) Put(end, entries.size(), 2);
  Put(end, directory.size(), 4);
  Put(end, file.size(), 4);
  Put(end, 0, 2);
  return file + directory + end;
}

}  // namespace reflux
