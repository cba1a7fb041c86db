// Losses in every form, and small random batches for them.
#pragma once

#include <torch/types.h>
#include <torch/utils.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "distill/losses/afdcd_loss.h"
#include "distill/losses/channel_wise_loss.h"
#include "distill/losses/cross_entropy_loss.h"
#include "distill/losses/cross_image_loss.h"
#include "distill/losses/feature_losses.h"
#include "distill/losses/i2ckd_loss.h"
#include "distill/losses/icsd_loss.h"
#include "distill/losses/memory_loss.h"
#include "distill/losses/own_loss.h"
#include "distill/losses/pixel_kd_loss.h"
#include "distill/losses/similarity_losses.h"
#include "distill/models/placement.h"

namespace reflux {

constexpr int64_t kClasses = 4, kIgnore = 255, kStudentWidth = 3, kTeacherWidth = 5;

inline torch::Tensor RandomMap(int64_t images, int64_t channels, int64_t height, int64_t width) {
  return torch::randn({images, channels, height, width}, torch::kFloat64);
}

// Maps of 5x6 positions and labels of 11x13 pixels, in double. Some pixels are ignored; class 3 is
// in the last image alone.
inline LossInputs RandomInputs(int64_t images, uint64_t seed = 1) {
  torch::manual_seed(seed);
  LossInputs inputs;
  inputs.ignore_index = kIgnore;
  inputs.global_batch = images;
  inputs.student["logits"] = RandomMap(images, kClasses, 5, 6);
  inputs.student["aux"] = RandomMap(images, kClasses, 5, 6);
  inputs.student["aspp"] = RandomMap(images, kStudentWidth, 5, 6);
  inputs.teacher["logits"] = 2 * RandomMap(images, kClasses, 5, 6);
  inputs.teacher["aspp"] = RandomMap(images, kTeacherWidth, 5, 6);
  inputs.labels = torch::randint(0, kClasses - 1, {images, 11, 13}, torch::kInt64);
  if (images > 0) inputs.labels[images - 1].slice(0, 0, 5).fill_(kClasses - 1);
  inputs.labels.slice(2, 0, 2).fill_(kIgnore);
  return inputs;
}

// Of a classifier: stages c1 of 8x8 and c2 of 4x4 positions, before and after their ReLU, logits,
// one label an image, of which the last is ignored; with `rotated` also four rotations of each.
inline LossInputs RandomImageInputs(int64_t images, bool rotated) {
  torch::manual_seed(3);
  LossInputs inputs;
  inputs.ignore_index = kIgnore;
  inputs.global_batch = images;
  const auto maps = [](int64_t count) {
    std::map<std::string, torch::Tensor> made = {{"logits", RandomMap(count, kClasses, 1, 1)}};
    for (const char* suffix : {"", "_pre"}) {
      made[std::string("c1") + suffix] = RandomMap(count, 3, 8, 8);
      made[std::string("c2") + suffix] = RandomMap(count, 4, 4, 4);
    }
    return made;
  };
  inputs.student = maps(images);
  if (rotated) inputs.rotated = maps(4 * images);
  inputs.labels = torch::randint(0, kClasses, {images, 1, 1}, torch::kInt64);
  inputs.labels[images - 1].fill_(kIgnore);
  return inputs;
}

struct NamedLoss {
  std::string name;
  std::function<std::shared_ptr<Loss>()> make;
};

inline std::shared_ptr<I2ckdLoss> MakeI2ckd(
    const TripletOptions& triplet, I2ckdOptions::Mean mean,
    I2ckdOptions::Labels labels = I2ckdOptions::Labels::kGroundTruth) {
  I2ckdOptions options{.num_classes = kClasses, .triplet = triplet, .mean = mean};
  options.student_channels = kStudentWidth, options.teacher_channels = kTeacherWidth;
  options.labels = labels;
  options.seed = 7;
  auto loss = std::make_shared<I2ckdLoss>(options);
  loss->to(torch::kFloat64);
  return loss;
}

// Weights and temperature that keep both parts near 1, where central differences are exact.
inline std::shared_ptr<AfdcdLoss> MakeAfdcd(DenseContrastOptions::Negatives negatives,
                                            AfdcdOptions::Mask mask, AfdcdProjectorKind projector) {
  AfdcdOptions options{.tap = "aspp", .mask = mask, .mask_ratio = 0.4, .projector = projector};
  options.contrast = {.negatives = negatives, .groups = kTeacherWidth, .temperature = 2};
  options.contrast.pool = 2, options.contrast.patch_height = 2, options.contrast.patch_width = 2;
  options.feature_weight = 0.01, options.contrast_weight = 0.1;
  options.student_channels = kStudentWidth, options.teacher_channels = kTeacherWidth;
  options.seed = 7;
  auto loss = std::make_shared<AfdcdLoss>(options);
  loss->to(torch::kFloat64);
  return loss;
}

template <typename L, typename Options>
NamedLoss InDouble(const std::string& name, const Options& options) {
  return {name, [options]() -> std::shared_ptr<Loss> {
            auto loss = std::make_shared<L>(options);
            loss->to(torch::kFloat64);
            return loss;
          }};
}

inline std::vector<NamedLoss> FeatureLosses() {
  const TapLossOptions aspp{
      .student_channels = kStudentWidth, .teacher_channels = kTeacherWidth, .seed = 7};
  const TapLossOptions logits{
      .tap = "logits", .student_channels = kClasses, .teacher_channels = kClasses};
  using Cwd = ChannelWiseOptions;
  return {
      InDouble<ChannelWiseLoss>("cwd", Cwd{.tap = aspp, .temperature = 2}),
      InDouble<ChannelWiseLoss>("cwd_published",
                                Cwd{.tap = aspp, .divide_by = Cwd::DivideBy::kStudentChannels}),
      InDouble<ChannelWiseLoss>(
          "cwd_spatial",
          Cwd{.tap = logits, .temperature_squared = false, .norm = Cwd::Norm::kSpatial}),
      InDouble<PairwiseLoss>("skd", PairwiseOptions{.tap = aspp}),
      InDouble<PairwiseLoss>("skd_fraction", PairwiseOptions{.tap = aspp, .pool_fraction = 0.4}),
      InDouble<CrossImageLoss>("cirkd", CrossImageOptions{.tap = aspp, .temperature = 0.5}),
      InDouble<CrossImageLoss>("cirkd_pooled",
                               CrossImageOptions{.tap = aspp, .temperature = 1, .pool = 2}),
      InDouble<CategorySimilarityLoss>("csd",
                                       CategorySimilarityOptions{.tap = logits, .temperature = 1}),
      InDouble<AttentionTransferLoss>("at", AttentionTransferOptions{.tap = aspp}),
      InDouble<FitNetLoss>("fitnet", aspp),
      InDouble<IfvdLoss>("ifvd", IfvdOptions{.tap = aspp, .num_classes = kClasses}),
  };
}

// The example of a loss of one's own (docs/add_a_loss.md), as a job makes it.
inline std::shared_ptr<Loss> MakeFeatureCosine() {
  const OwnLossInput input{
      .tap = {.student_channels = kStudentWidth, .teacher_channels = kTeacherWidth, .seed = 7},
      .num_classes = kClasses};
  const std::shared_ptr<Loss> loss = MakeOwnLoss("feature_cosine", input, {{"power", 2}}).value();
  loss->to(torch::kFloat64);
  return loss;
}

// A memory that has taken in one batch and, not in training mode, takes in no more.
inline std::shared_ptr<MemoryLoss> MakeFilledMemory() {
  const TapLossOptions aspp{
      .student_channels = kStudentWidth, .teacher_channels = kTeacherWidth, .seed = 7};
  auto loss = std::make_shared<MemoryLoss>(MemoryOptions{.tap = aspp,
                                                         .num_classes = kClasses,
                                                         .temperature = 1,
                                                         .pixel_queue = 9,
                                                         .region_queue = 4,
                                                         .pixel_samples = 16,
                                                         .region_samples = 8,
                                                         .pixels_per_image = 4});
  PlaceModule(*loss, torch::kCPU, torch::kFloat64, /*channels_last=*/false);
  // Once: ranks on threads make their losses side by side, and the random numbers are the
  // process's.
  static const LossInputs batch = RandomInputs(3, 11);
  loss->Finish(loss->Local(batch));
  loss->eval();
  return loss;
}

inline std::vector<NamedLoss> AllLosses() {
  using D = PrototypeDistance;
  using N = PrototypeNegatives;
  using A = PrototypeAnchor;
  using Mean = I2ckdOptions::Mean;
  std::vector<NamedLoss> losses = {
      {"ce", [] { return std::make_shared<CrossEntropyLoss>(CrossEntropyOptions()); }},
  };
  using Divide = PixelKdOptions::DivideBy;
  for (const Divide divide : {Divide::kPositions, Divide::kElements, Divide::kBatch}) {
    losses.push_back({"kd_" + std::to_string(static_cast<int>(divide)), [divide] {
                        return std::make_shared<PixelKdLoss>(
                            PixelKdOptions{.temperature = 2, .divide_by = divide});
                      }});
  }
  for (const char* form : {"full", "mirror", "per_image", "full_raw", "code", "gram"}) {
    losses.push_back({std::string("icsd_") + form, [form] {
                        return std::make_shared<IcsdLoss>(
                            IcsdOptions{.form = *ParseIcsdForm(form), .temperature = 1.5});
                      }});
  }
  const auto add = [&](const std::string& name, const TripletOptions& triplet, Mean mean) {
    losses.push_back({"i2ckd_" + name, [=] { return MakeI2ckd(triplet, mean); }});
  };
  add("l2", {.margin = 1}, Mean::kBatch);
  add("squared", {.margin = 1, .distance = D::kSquared}, Mean::kBatch);
  add("cosine", {.margin = 1, .distance = D::kCosine}, Mean::kBatch);
  add("hardest", {.margin = 1, .negatives = N::kHardest}, Mean::kBatch);
  add("teacher_anchor", {.margin = 1, .anchor = A::kTeacher}, Mean::kBatch);
  add("image_mean", {.margin = 1}, Mean::kImageMean);
  add("per_image", {.margin = 1}, Mean::kPerImage);
  losses.push_back({"i2ckd_teacher_labels", [] {
                      return MakeI2ckd({.margin = 1}, Mean::kBatch, I2ckdOptions::Labels::kTeacher);
                    }});
  using Negatives = DenseContrastOptions::Negatives;
  const auto add_afdcd = [&](const std::string& name, Negatives negatives, AfdcdOptions::Mask mask,
                             AfdcdProjectorKind projector) {
    losses.push_back({"afdcd_" + name, [=] { return MakeAfdcd(negatives, mask, projector); }});
  };
  using Mask = AfdcdOptions::Mask;
  using Projector = AfdcdProjectorKind;
  add_afdcd("omni", Negatives::kOmni, Mask::kRandom, Projector::kPlain);
  add_afdcd("omni_all", Negatives::kOmniAll, Mask::kCentre, Projector::kTwoLevel);
  add_afdcd("spatial_patch", Negatives::kSpatialPatch, Mask::kRandom, Projector::kPlain);
  add_afdcd("spatial_full", Negatives::kSpatialFull, Mask::kCentre, Projector::kPlain);
  add_afdcd("channel", Negatives::kChannel, Mask::kCentre, Projector::kPlain);
  losses.push_back({"cirkd_memory", MakeFilledMemory});
  losses.push_back({"own_feature_cosine", MakeFeatureCosine});
  for (const NamedLoss& named : FeatureLosses()) losses.push_back(named);
  return losses;
}

inline torch::Tensor ValueOf(Loss& loss, const LossInputs& inputs) {
  return loss.Finish(loss.Local(inputs));
}

}  // namespace reflux
