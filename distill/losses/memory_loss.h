// CIRKD's memory terms (Cross-Image Relational Knowledge Distillation, CVPR 2022, arXiv
// 2204.06986): the student's pixels against a memory of the teacher's pixels and regions.
#pragma once

#include <torch/nn/modules/conv.h>

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "distill/losses/feature_queue.h"
#include "distill/losses/tap_loss.h"
#include "distill/models/batch_norm.h"

namespace reflux {

struct MemoryOptions {
  TapLossOptions tap;
  int64_t num_classes = 0;
  double temperature = 0.1;   // of the cosines
  double kd_temperature = 1;  // of the distributions that are compared, times its square
  int64_t pixel_queue = 20000, region_queue = 2000;     // vectors kept of each class
  int64_t pixel_samples = 4096, region_samples = 1024;  // drawn a step, spread over the classes
  int64_t pixels_per_image = 16;                        // taken in of each class in each image
  double pixel_weight = 0.1, region_weight = 0.1;       // as in the published scripts

  absl::Status Validate() const;
};

// For every labelled position: the cosines of its feature with vectors of the memory, a softmax
// over them, KL(teacher || student); mean over the positions of all ranks, once with pixels, once
// with regions (the mean feature of a class in an image). The student's map goes through a head
// (1x1 convolution, norm, ReLU, 1x1 convolution: parameters of the loss) to the teacher's width.
//
// The memory takes in the teacher's features of the whole global batch after each training step, so
// it is the same on every rank; it lies in buffers. Before the first step it is empty and the loss
// zero. Beyond the published code: that starts from random vectors, takes a batch in before it
// compares, and draws the pixels of a class from the first positions of the image.
class MemoryLoss : public Loss {
 public:
  explicit MemoryLoss(const MemoryOptions& options);
  LossStatistics Local(const LossInputs& inputs) override;
  // In training mode also takes the batch into the memory.
  torch::Tensor Finish(const LossStatistics& global) override;
  bool additive() const override { return false; }
  std::vector<std::string> student_taps() const override { return {options_.tap.tap}; }
  std::vector<std::string> teacher_taps() const override { return {options_.tap.tap}; }
  // "pixel", "region", before their weights.
  std::map<std::string, double> Parts(const LossStatistics& global) override;

 private:
  struct Labelled;
  torch::Tensor Project(const torch::Tensor& student);
  void TakeIn(const LossStatistics& global);
  torch::Tensor Divergence(const Labelled& positions, const torch::Tensor& memory) const;
  LossStatistics Entries(const torch::Tensor& teacher, const torch::Tensor& labels,
                         const LossInputs& inputs) const;
  int64_t EntryRows() const { return 1 + options_.pixels_per_image; }

  const MemoryOptions options_;
  torch::nn::Conv2d first_{nullptr}, second_{nullptr};
  BatchNorm2d norm_{nullptr};
  FeatureQueue pixels_{nullptr}, regions_{nullptr};
};

}  // namespace reflux
