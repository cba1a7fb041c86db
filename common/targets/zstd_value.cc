#include "common/targets/zstd_value.h"

#include <zstd.h>

#include <utility>

#include "absl/strings/str_cat.h"

namespace reflux {
namespace {

constexpr int kLevel = 3;  // zstd's own default: higher levels gain little on maps

std::string TakeApart(absl::string_view value, int64_t word) {
  std::string planes(value);
  const auto words = static_cast<int64_t>(value.size()) / word;
  for (int64_t byte = 0; byte < word; ++byte) {
    for (int64_t i = 0; i < words; ++i) planes[byte * words + i] = value[i * word + byte];
  }
  return planes;
}

std::string PutTogether(absl::string_view planes, int64_t word) {
  std::string value(planes);
  const auto words = static_cast<int64_t>(planes.size()) / word;
  for (int64_t byte = 0; byte < word; ++byte) {
    for (int64_t i = 0; i < words; ++i) value[i * word + byte] = planes[byte * words + i];
  }
  return value;
}

}  // namespace

absl::StatusOr<std::string> CompressValue(absl::string_view value, int64_t word) {
  const std::string planes = TakeApart(value, word);
  std::string frame(ZSTD_compressBound(planes.size()), '\0');
  const size_t size =
      ZSTD_compress(frame.data(), frame.size(), planes.data(), planes.size(), kLevel);
  if (ZSTD_isError(size))
    return absl::InternalError(absl::StrCat("codec zstd: ", ZSTD_getErrorName(size)));
  frame.resize(size);
  frame.shrink_to_fit();  // the bound is larger than the value, and caches keep these bytes
  return frame;
}

absl::StatusOr<std::string> DecompressValue(absl::string_view frame, int64_t size, int64_t word) {
  // The frame's own statement, before anything is allocated; an error of it is a huge number.
  const auto stated = ZSTD_getFrameContentSize(frame.data(), frame.size());
  if (stated != static_cast<unsigned long long>(size))
    return absl::DataLossError(
        absl::StrCat("codec zstd: the frame does not hold ", size, " bytes"));
  std::string planes(size, '\0');
  const size_t got = ZSTD_decompress(planes.data(), planes.size(), frame.data(), frame.size());
  if (ZSTD_isError(got))
    return absl::DataLossError(absl::StrCat("codec zstd: ", ZSTD_getErrorName(got)));
  if (got != planes.size())
    return absl::DataLossError(absl::StrCat("codec zstd: ", got, " bytes instead of ", size));
  return word == 1 ? std::move(planes) : PutTogether(planes, word);
}

}  // namespace reflux
