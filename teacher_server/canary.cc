#include "teacher_server/canary.h"

#include <filesystem>
#include <fstream>
#include <opencv2/imgcodecs.hpp>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/build_version.h"
#include "common/base/counter_random.h"
#include "common/base/file.h"
#include "common/base/status_macros.h"

namespace reflux {
namespace {

constexpr int kSide = 65;

std::string EncodedImage() {
  const CounterRandom random(1, "canary");
  cv::Mat image(kSide, kSide, CV_8UC3);
  for (int y = 0; y < kSide; ++y) {
    for (int x = 0; x < kSide; ++x) {
      const uint64_t bits = random.Bits(y, x);
      image.at<cv::Vec3b>(y, x) = cv::Vec3b(bits & 255, (bits >> 8 & 127) + 2 * (y & 63),
                                            (bits >> 16 & 127) + 2 * (x & 63));
    }
  }
  std::vector<uint8_t> bytes;
  cv::imencode(".png", image, bytes);
  return {bytes.begin(), bytes.end()};
}

struct OneTarget : TargetSink {
  void Deliver(size_t, size_t, absl::StatusOr<EncodedTarget> delivered) override {
    target = std::move(delivered);
  }
  absl::StatusOr<EncodedTarget> target = absl::InternalError("the teacher did not answer");
};

std::string ProcessorModel() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (absl::StartsWith(line, "model name")) return line;
  }
  return "unknown";
}

std::string FileName(const TeacherIdentity& teacher) {
  const Numerics& numerics = teacher.numerics;
  const Preprocessing& pre = teacher.preprocessing;
  const std::string key =
      absl::StrCat(teacher.digest.Hex(), "/", static_cast<int>(numerics.mode), "/",
                   static_cast<int>(numerics.compute), "/", numerics.tf32, "/", numerics.threads,
                   "/", numerics.batch, "/", numerics.inference_revision, "/", pre.bgr, "/",
                   pre.divisor, "/", absl::StrJoin(pre.mean, ","), "/",
                   absl::StrJoin(pre.deviation, ","), "/", BuildVersion(), "/", ProcessorModel());
  return Sha256::Of(key).Hex().substr(0, 16) + ".canary";
}

}  // namespace

absl::StatusOr<Digest> RunCanary(TargetSource& source, const TeacherIdentity& teacher) {
  SampleRef sample{.view = {.resized_height = kSide,
                            .resized_width = kSide,
                            .crop_height = kSide,
                            .crop_width = kSide},
                   .locator = {kCanaryDataset, "canary.png"},
                   .image = std::make_shared<const std::string>(EncodedImage())};
  sample.digest = Sha256::Of(*sample.image);
  OneTarget answer;
  REFLUX_RETURN_IF_ERROR(source.Fetch({},
                                      {.teacher = teacher,
                                       .samples = {sample},
                                       .specs = {{.tap = "logits", .codec = Codec::kFp32}}},
                                      answer));
  REFLUX_RETURN_IF_ERROR(answer.target.status());
  return Sha256::Of(answer.target->bytes);
}

absl::Status CompareCanary(const std::string& directory, const TeacherIdentity& teacher,
                           const Digest& answer) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  const std::string file = absl::StrCat(directory, "/", FileName(teacher));
  const absl::StatusOr<std::string> stored = ReadFile(file, 256);
  if (absl::IsNotFound(stored.status())) return WriteFileAtomically(file, answer.Hex() + "\n");
  REFLUX_RETURN_IF_ERROR(stored.status());
  if (stored->substr(0, 64) == answer.Hex()) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat("the teacher ", teacher.digest.Short(),
                                          " computes other logits for the canary image than it did "
                                          "before on such a processor with this "
                                          "build: its arithmetic cannot be trusted (remove ",
                                          file, " if a library was replaced)"));
}

}  // namespace reflux
