// What the proof trains on: a small data set of JPEG files, a teacher checkpoint, a job.
#pragma once

#include <string>

#include "reflux/v1/config.pb.h"

namespace reflux {

// Writes `images` textured 120x160 JPEG files with labels for train and val in the SegNet layout.
void WriteProofImages(const std::string& root, int images);

// Writes a checkpoint of an untrained `architecture` whose batch norms have seen no data.
void WriteProofTeacher(const std::string& path, const std::string& architecture);

struct ProofJob {
  std::string root;    // folder with images/ and teacher.safetensors
  std::string losses;  // YAML of the `losses` block
  std::string precision = "fp32";
  std::string student = "deeplabv3_resnet18";
  int students = 1;
};
// 96x128 crops, four a step, `replay: 2`, three epochs, dropout on, prefetch depth 4 with two
// loader threads, a checkpoint at every step.
std::string ProofYaml(const ProofJob& job);

// What a program needs for such a job: makes `root` anew with that many images, a teacher of
// `architecture` and root/job.yaml, which distils by KD and I2CKD. False when a file fails.
bool WriteProofScene(const std::string& root, int images, const std::string& architecture);

}  // namespace reflux
