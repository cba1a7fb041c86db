#include "distill/data/png_palette.h"

#include <opencv2/imgcodecs.hpp>

namespace reflux {
namespace {

// Signature, then IHDR: length 4, type 4, width 4, height 4, bits 1, colour type 1, ..., checksum.
constexpr size_t kHeaderType = 12, kBits = 24, kColour = 25, kHeaderCrc = 29, kAfterHeader = 33;
constexpr char kGrey = 0, kPalette = 3;
constexpr int kVoid = 255;

uint32_t Crc(absl::string_view bytes) {
  uint32_t crc = 0xffffffff;
  for (const char byte : bytes) {
    crc ^= static_cast<uint8_t>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ ((crc & 1) != 0 ? 0xedb88320 : 0);
  }
  return ~crc;
}

std::string BigEndian(uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<char>(value >> shift));
  return bytes;
}

std::string WithColourType(absl::string_view png, char type) {
  std::string changed(png);
  changed[kColour] = type;
  changed.replace(
      kHeaderCrc, 4,
      BigEndian(Crc(absl::string_view(changed).substr(kHeaderType, kHeaderCrc - kHeaderType))));
  return changed;
}

std::string PaletteChunk(const std::vector<cv::Vec3b>& palette) {
  std::string body = "PLTE";
  for (int i = 0; i < 256; ++i) {
    cv::Vec3b bgr = i == kVoid ? cv::Vec3b(192, 224, 224) : cv::Vec3b(0, 0, 0);
    if (i < static_cast<int>(palette.size())) bgr = palette[i];
    for (int channel = 2; channel >= 0; --channel) body.push_back(static_cast<char>(bgr[channel]));
  }
  return BigEndian(static_cast<uint32_t>(body.size() - 4)) + body + BigEndian(Crc(body));
}

}  // namespace

bool IsPalettePng(absl::string_view png, int* bits) {
  // With its length: where another one ends the next chunk would be misread.
  constexpr absl::string_view kHeader("\0\0\0\x0dIHDR", 8);
  if (png.size() < kAfterHeader || png.substr(1, 3) != "PNG" || png.substr(8, 8) != kHeader ||
      png[kColour] != kPalette)
    return false;
  *bits = png[kBits];
  return *bits == 1 || *bits == 2 || *bits == 4 || *bits == 8;
}

std::string GreyFromPalettePng(absl::string_view png) {
  const std::string grey = WithColourType(png, kGrey);
  // A grey image may have no palette, and its transparency is another chunk than a palette's.
  std::string kept = grey.substr(0, kAfterHeader);
  for (size_t at = kAfterHeader; at + 12 <= grey.size();) {
    size_t length = 0;
    for (int i = 0; i < 4; ++i) length = length << 8 | static_cast<uint8_t>(grey[at + i]);
    length += 12;
    const std::string type = grey.substr(at + 4, 4);
    if (type != "PLTE" && type != "tRNS" && type != "bKGD" && type != "hIST" && type != "sBIT")
      kept.append(grey, at, length);
    if (type == "IEND") break;
    at += length;
  }
  return kept;
}

absl::StatusOr<std::string> EncodePalettePng(const cv::Mat& indices,
                                             const std::vector<cv::Vec3b>& palette) {
  if (indices.empty() || indices.type() != CV_8UC1)
    return absl::InvalidArgumentError("a palette PNG is made of 8-bit indices");
  std::vector<uint8_t> encoded;
  cv::imencode(".png", indices, encoded);
  std::string png =
      WithColourType({reinterpret_cast<const char*>(encoded.data()), encoded.size()}, kPalette);
  png.insert(kAfterHeader, PaletteChunk(palette));
  return png;
}

}  // namespace reflux
