#include "distill/data/textures.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "common/base/file.h"
#include "common/base/status_macros.h"
#include "distill/data/scenes_random.h"

namespace reflux {
namespace {

namespace fs = std::filesystem;

// Raised whenever the pictures change.
constexpr int kRevision = 2;
constexpr char kMarker[] = "textures.txt";
constexpr int kSide = 32, kTextures = 100, kDirections = 5, kPatterns = 4;
constexpr const char* kPatternNames[kPatterns] = {"stripes", "checks", "dots", "rings"};
// Numbers of test images lie above those of any training image.
constexpr uint64_t kFirstTest = uint64_t{1} << 32;

// A pattern with one image's accidents.
struct Texture {
  int pattern = 0;
  double angle = 0, frequency = 0, proportion = 1;  // radians, radians a pixel, across over along
  double phase_along = 0, phase_across = 0, centre_y = 0, centre_x = 0;

  double At(int y, int x) const;  // -1..1
};

Texture Choose(int texture, SceneRandom& random) {
  constexpr double kProportions[] = {1, 1.6, 0.5, 2.4, 0.25};
  const int group = texture / kDirections, member = texture % kDirections;
  Texture t{.pattern = group % kPatterns, .proportion = kProportions[group / kPatterns]};
  t.angle = M_PI * member / kDirections + random.Uniform(-0.12, 0.12);
  t.frequency = random.Uniform(0.85, 1.2);
  // Rings have no direction.
  if (t.pattern == 3) t.frequency *= 0.55 + 0.22 * member;
  t.phase_along = random.Uniform(0, 2 * M_PI);
  t.phase_across = random.Uniform(0, 2 * M_PI);
  t.centre_y = random.Uniform(0, kSide);
  t.centre_x = random.Uniform(0, kSide);
  return t;
}

double Texture::At(int y, int x) const {
  const double dy = y - centre_y, dx = x - centre_x;
  const double along = frequency * (dx * std::cos(angle) + dy * std::sin(angle));
  const double across = frequency * proportion * (dy * std::cos(angle) - dx * std::sin(angle));
  const double u = std::sin(along + phase_along), v = std::sin(across + phase_across);
  switch (pattern) {
    case 0:
      return std::clamp(u + 0.4 * v, -1.0, 1.0);
    case 1:
      return u * v > 0 ? 1 : -1;
    case 2:
      return u + v > 0.8 ? 1 : -1;
    default:
      return std::sin(std::hypot(along, across) + phase_along);
  }
}

// A patch of another texture hides a part of some images.
cv::Rect Patch(SceneRandom& random) {
  if (!random.Chance(0.5)) return {};
  const int width = 6 + random.Below(10), height = 6 + random.Below(10);
  return {random.Below(kSide - width), random.Below(kSide - height), width, height};
}

std::string ClassName(int texture) {
  const int group = texture / kDirections;
  return absl::StrCat(kPatternNames[group % kPatterns], "_", group / kPatterns, "_",
                      texture % kDirections);
}

bool IsCifar10(const TextureSetOptions& options) { return options.format == "cifar10"; }

// A record of the format: label bytes, then the planes of red, green and blue.
void AppendRecord(const TextureSetOptions& options, int label, const cv::Mat& image,
                  std::string& out) {
  if (!IsCifar10(options)) out.push_back(static_cast<char>(label / kDirections));
  out.push_back(static_cast<char>(label));
  for (int channel = 2; channel >= 0; --channel) {
    for (int y = 0; y < kSide; ++y) {
      for (int x = 0; x < kSide; ++x) {
        out.push_back(static_cast<char>(image.at<cv::Vec3b>(y, x)[channel]));
      }
    }
  }
}

absl::Status CheckFolder(const std::string& folder) {
  std::error_code error;
  if (!fs::exists(folder, error) || fs::is_empty(folder, error)) {
    fs::create_directories(folder, error);
    return error ? ErrnoStatus(error.value(), "cannot create", folder) : absl::OkStatus();
  }
  return absl::FailedPreconditionError(absl::StrCat(
      folder, " is not empty and holds no finished set of textures of these options (see ", kMarker,
      "): choose another folder, or delete this one"));
}

}  // namespace

absl::Status TextureSetOptions::Validate() const {
  if (format != "cifar10" && format != "cifar100") {
    return absl::InvalidArgumentError(
        absl::StrCat("format: ", format, " is not cifar10 or cifar100"));
  }
  for (const auto& [field, value] : {std::pair("train", train), std::pair("val", test)}) {
    if (value >= 1 && value <= kMaxImages) continue;
    return absl::InvalidArgumentError(
        absl::StrCat(field, ": ", value, " is not in 1..", kMaxImages));
  }
  return absl::OkStatus();
}

std::string TextureSetOptions::ToString() const {
  return absl::StrCat("format=", format, " train=", train, " test=", test, " seed=", seed,
                      " revision=", kRevision);
}

cv::Mat DrawTexture(uint64_t seed, int texture, uint64_t number) {
  SceneRandom random(seed ^ 0x7465787475726573, number * kTextures + texture);
  const Texture own = Choose(texture, random), other = Choose(random.Below(kTextures), random);
  const cv::Rect patch = Patch(random);
  const Colour dark = random.Any(), light = random.Any();
  const double contrast = random.Uniform(0.35, 1), noise = random.Uniform(5, 30);
  cv::Mat image(kSide, kSide, CV_8UC3);
  for (int y = 0; y < kSide; ++y) {
    for (int x = 0; x < kSide; ++x) {
      const Texture& here = patch.contains({x, y}) ? other : own;
      const auto share = static_cast<float>(0.5 + 0.5 * contrast * here.At(y, x));
      for (int c = 0; c < 3; ++c) {
        const float value = dark[c] + share * (light[c] - dark[c]) +
                            static_cast<float>(random.Uniform(-noise, noise));
        image.at<cv::Vec3b>(y, x)[c] = cv::saturate_cast<uint8_t>(value);
      }
    }
  }
  return image;
}

absl::StatusOr<bool> WriteTextures(const std::string& folder, const TextureSetOptions& options,
                                   const std::function<void(int64_t, int64_t)>& progress) {
  REFLUX_RETURN_IF_ERROR(options.Validate());
  const std::string marker = (fs::path(folder) / kMarker).string();
  const std::string content = absl::StrCat(options.ToString(), "\n");
  if (ReadFile(marker, 4096).value_or("") == content) return false;
  REFLUX_RETURN_IF_ERROR(CheckFolder(folder));
  const int classes = IsCifar10(options) ? 10 : kTextures;
  // Ten classes are ten patterns in one direction, so that a mirrored image stays in its class; of
  // a hundred some become another's.
  const auto texture = [&](int label) { return IsCifar10(options) ? label * kDirections : label; };
  int64_t done = 0;
  const auto write = [&](const char* name, int64_t count, uint64_t first) {
    std::string records;
    for (int64_t i = 0; i < count; ++i) {
      const auto label = static_cast<int>(i % classes);
      AppendRecord(options, label, DrawTexture(options.seed, texture(label), first + i), records);
      if (progress) progress(++done, options.train + options.test);
    }
    return WriteFileAtomically((fs::path(folder) / name).string(), records);
  };
  const bool ten = IsCifar10(options);
  REFLUX_RETURN_IF_ERROR(write(ten ? "data_batch_1.bin" : "train.bin", options.train, 0));
  REFLUX_RETURN_IF_ERROR(write(ten ? "test_batch.bin" : "test.bin", options.test, kFirstTest));
  std::string names;
  for (int i = 0; i < classes; ++i) absl::StrAppend(&names, ClassName(texture(i)), "\n");
  const char* list = ten ? "batches.meta.txt" : "fine_label_names.txt";
  REFLUX_RETURN_IF_ERROR(WriteFileAtomically((fs::path(folder) / list).string(), names));
  REFLUX_RETURN_IF_ERROR(WriteFileAtomically(marker, content));
  return true;
}

}  // namespace reflux
