#include "tests/e2e/proof_scene.h"

#include <filesystem>
#include <opencv2/imgcodecs.hpp>

#include "absl/strings/str_format.h"
#include "common/base/counter_random.h"
#include "common/base/file.h"
#include "distill/checkpoint/model_checkpoint.h"
#include "distill/data/class_tables.h"
#include "distill/models/build_model.h"

namespace reflux {
namespace {

void WritePair(const std::string& root, const std::string& split, int number) {
  const CounterRandom random(number, split);
  cv::Mat image(120, 160, CV_8UC3), label(120, 160, CV_8UC1);
  for (int y = 0; y < image.rows; ++y) {
    for (int x = 0; x < image.cols; ++x) {
      const int cell = static_cast<int>(random.Below(12, y / 20, x / 20));
      const auto noise = static_cast<int>(random.Below(40, y, 1000 + x));
      label.at<uint8_t>(y, x) = cell;
      image.at<cv::Vec3b>(y, x) = cv::Vec3b(20 * cell + noise, 255 - 18 * cell - noise, 90 + noise);
    }
  }
  const std::string stem = absl::StrFormat("%03d", number);
  cv::imwrite(root + "/" + split + "/" + stem + ".jpg", image);
  cv::imwrite(root + "/" + split + "annot/" + stem + ".png", label);
}

}  // namespace

void WriteProofImages(const std::string& root, int images) {
  for (const std::string split : {"train", "val"}) {
    std::filesystem::create_directories(root + "/" + split);
    std::filesystem::create_directories(root + "/" + split + "annot");
    for (int i = 0; i < (split == "train" ? images : 2); ++i) WritePair(root, split, i);
  }
}

void WriteProofTeacher(const std::string& path, const std::string& architecture) {
  CheckpointInfo info{.classes = CamVidClasses().names};
  info.options.architecture = architecture;
  info.options.num_classes = info.classes.size();
  const std::shared_ptr<SegmentationModel> model = BuildModel(info.options).value();
  info.options = ResolveModelOptions(info.options).value();
  InitializeWeights(*model, 17);
  if (!SaveModelCheckpoint(path, *model, info).ok()) std::abort();
}

std::string ProofYaml(const ProofJob& job) {
  return absl::StrFormat(R"(
name: proof
data: {format: camvid, root: %1$s/images, crop: [96, 128], scale: [0.8, 1.5], eval_size: [96, 128]}
teacher: {checkpoint: %1$s/teacher.safetensors, expect_miou: 0, threads: 1, batch: 4}
student: {model: %5$s}
losses: %2$s
targets: {views: "replay: 2", codec: fp32}
train: {global_batch: 4, epochs: 3, precision: %3$s, seed: 5, threads: 1, checkpoint_every: 1, prefetch_depth: 4, loader_threads: 2, log_every: 1}
run: {students: %4$d}
)",
                         job.root, job.losses, job.precision, job.students, job.student);
}

bool WriteProofScene(const std::string& root, int images, const std::string& architecture) {
  std::filesystem::remove_all(root);
  std::filesystem::create_directories(root);
  WriteProofImages(root + "/images", images);
  WriteProofTeacher(root + "/teacher.safetensors", architecture);
  return WriteFileAtomically(root + "/job.yaml",
                             ProofYaml({.root = root, .losses = "{kd: {}, i2ckd: {tap: aspp}}"}))
      .ok();
}

}  // namespace reflux
