#include "distill/data/image_header.h"

#include <cstring>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/targets/target.h"

namespace reflux {
namespace {

constexpr char kJpegStart[] = "\xff\xd8\xff";
constexpr char kPngStart[] = "\x89PNG\r\n\x1a\n";

absl::Status Truncated() { return absl::DataLossError("the image file is truncated"); }

// Big-endian bytes at a position; the caller has checked that they are there.
uint32_t Read(absl::string_view bytes, size_t at, int count) {
  uint32_t value = 0;
  for (int i = 0; i < count; ++i) value = value << 8 | static_cast<uint8_t>(bytes[at + i]);
  return value;
}

// The position of the next marker's code at or after `at`: in entropy-coded data 0xff is followed
// by 0 (a data byte) or a restart marker, and before a marker 0xff may be repeated.
size_t NextMarker(absl::string_view bytes, size_t at) {
  while (at < bytes.size()) {
    const void* found = std::memchr(bytes.data() + at, 0xff, bytes.size() - at);
    if (found == nullptr) break;
    at = static_cast<const char*>(found) - bytes.data() + 1;
    if (at >= bytes.size()) break;
    const auto code = static_cast<uint8_t>(bytes[at]);
    if (code != 0 && code != 0xff && (code < 0xd0 || code > 0xd7)) return at;
  }
  return absl::string_view::npos;
}

bool IsFrameHeader(uint32_t code) {
  return code >= 0xc0 && code <= 0xcf && code != 0xc4 && code != 0xc8 && code != 0xcc;
}

absl::StatusOr<ImageHeader> WalkJpeg(absl::string_view bytes) {
  constexpr uint32_t kEndOfImage = 0xd9;
  ImageHeader header{.jpeg = true};
  for (size_t at = NextMarker(bytes, 2);; at = NextMarker(bytes, at)) {
    if (at == absl::string_view::npos) return Truncated();
    const uint32_t code = Read(bytes, at, 1);
    if (code == kEndOfImage) return header;
    if (at + 8 > bytes.size()) return Truncated();
    if (IsFrameHeader(code)) {
      header.height = static_cast<int32_t>(Read(bytes, at + 4, 2));
      header.width = static_cast<int32_t>(Read(bytes, at + 6, 2));
    }
    at += 1 + Read(bytes, at + 1, 2);
  }
}

absl::StatusOr<ImageHeader> WalkPng(absl::string_view bytes) {
  constexpr size_t kChunkOverhead = 12;  // length, type, checksum
  ImageHeader header;
  size_t at = sizeof(kPngStart) - 1;
  while (at + kChunkOverhead <= bytes.size()) {
    const size_t length = Read(bytes, at, 4);
    if (length > bytes.size() - at - kChunkOverhead) break;
    const absl::string_view type = bytes.substr(at + 4, 4);
    if (type == "IEND") return header;
    if (type == "IHDR" && length >= 8) {
      header.width = static_cast<int32_t>(Read(bytes, at + 8, 4) & 0x7fffffff);
      header.height = static_cast<int32_t>(Read(bytes, at + 12, 4) & 0x7fffffff);
    }
    at += kChunkOverhead + length;
  }
  return Truncated();
}

}  // namespace

absl::StatusOr<ImageHeader> ReadImageHeader(absl::string_view bytes) {
  const bool jpeg = absl::StartsWith(bytes, kJpegStart);
  if (!jpeg && !absl::StartsWith(bytes, kPngStart))
    return absl::DataLossError("neither a JPEG nor a PNG file");
  absl::StatusOr<ImageHeader> header = jpeg ? WalkJpeg(bytes) : WalkPng(bytes);
  if (!header.ok()) return header;
  if (header->height < 1 || header->width < 1)
    return absl::DataLossError("the image file states no size");
  if (header->height > View::kMaxSide || header->width > View::kMaxSide) {
    return absl::ResourceExhaustedError(absl::StrCat("the image has ", header->height, "x",
                                                     header->width, " pixels, at most ",
                                                     View::kMaxSide, " a side are read"));
  }
  return header;
}

}  // namespace reflux
