// The TargetSource that computes: decode, view, forward, encode, in this process.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/metrics/registry.h"
#include "common/targets/target.h"
#include "distill/models/segmentation_model.h"

namespace reflux {

// Everything a loaded teacher is.
struct Teacher {
  std::shared_ptr<SegmentationModel> model;
  TeacherIdentity identity;
  torch::Device device = torch::kCPU;
  // For each class of the data set the channel of the network's logits that is it; empty: they have
  // the same order.
  std::vector<int64_t> class_order;
};

// Puts the model into evaluation mode, frozen, on `device`, in the numerics' weight type and
// channels-last, and computes its digest before the conversion; an order of classes other than
// 0, 1, 2, ... is part of it (docs/cache_format.md). InvalidArgument for numerics that the device
// cannot give (TF32 on a CPU), or an order that is no permutation of the network's classes.
absl::StatusOr<Teacher> MakeTeacher(std::shared_ptr<SegmentationModel> model,
                                    const Preprocessing& preprocessing, const Numerics& numerics,
                                    const torch::Device& device,
                                    std::vector<int64_t> class_order = {});

// Taps of a batch of preprocessed images [N,3,H,W] (CPU, float32), with the teacher's numerics: in
// exact mode in forwards of exactly numerics.batch images, the last one padded by zeros. Maps are
// float32 (float64 for fp64) on the teacher's device, computed, contiguous; logits have the data
// set's order of classes. NotFound for an unknown tap. Thread-safe.
absl::StatusOr<TapOutputs> RunTeacher(const Teacher& teacher, const torch::Tensor& images,
                                      const std::vector<std::string>& taps);

// Reads the encoded image of a sample: NotFound when this process does not have the file.
using ReadImageFn = std::function<absl::StatusOr<std::string>(const Locator&)>;

struct LocalSourceOptions {
  // TeacherInfo fields that the source cannot know.
  double miou = -1;
  std::string build_version;
  // Reads the label of an image, for reductions that need it; null: labels are always asked for.
  ReadLabelFn read_label;
  int runners = 1;  // forwards that may run at once
};

struct LocalSourceMetrics {
  Counter images_inferred, refused_samples;
  Histogram forward_seconds;
  static LocalSourceMetrics Register(MetricRegistry& registry);  // reflux_teacher_*
};

// Thread-safe; at most `runners` forwards run at a time. A request for another identity is refused
// (FAILED_PRECONDITION), an unknown tap too (NOT_FOUND, lists those that exist). A sample whose
// file, or label where a reduction reads it, is missing or has another digest is answered by
// SampleNeededError.
std::unique_ptr<TargetSource> MakeLocalSource(Teacher teacher, ReadImageFn read_image,
                                              const LocalSourceOptions& options,
                                              const LocalSourceMetrics& metrics = {});

}  // namespace reflux
