// The losses without a teacher, FRSKD's and SLA, in every form, and the batches that they read.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "distill/losses/frskd_classifier_loss.h"
#include "distill/losses/frskd_loss.h"
#include "distill/losses/label_rotation.h"
#include "tests/unit/distill/losses/scratch_losses.h"

namespace reflux {

struct SelfDistillation {
  std::string name;
  bool of_images;  // a classifier's: one label an image
  bool rotates;
  // In double. Without `distils` the labels alone teach: no term has a constant of its own making.
  std::function<std::shared_ptr<Loss>(bool distils)> make;

  LossInputs Inputs(int64_t images) const {
    return of_images ? RandomImageInputs(images, rotates) : RandomInputs(images);
  }
};

// Weights near 1, where central differences are exact.
inline std::shared_ptr<Loss> MakeFrskd(FrskdFeatures features, bool distils) {
  FrskdOptions options{.taps = {"aux", "aspp"}, .warmup = 0, .features = features, .seed = 7};
  options.alpha = options.beta = distils ? 1 : 0;
  options.self_teacher = {
      .channels = {kClasses, kStudentWidth}, .num_classes = kClasses, .width = 6, .head_width = 8};
  return InDouble<FrskdLoss>("frskd", options).make();
}

inline std::shared_ptr<Loss> MakeFrskdClassifier(FrskdFeatures features, bool sla, bool distils) {
  FrskdClassifierOptions options{.temperature = 2, .features = features, .sla = sla, .seed = 7};
  options.alpha = options.beta = options.sla_weight = distils ? 1 : 0;
  options.self_teacher = {.channels = {3, 4}, .num_classes = kClasses, .width = 2};
  return InDouble<FrskdClassifierLoss>("frskd_classifier", options).make();
}

inline std::shared_ptr<Loss> MakeSla(bool distils) {
  return InDouble<SlaLoss>("sla", SlaOptions{.tap = "c2",
                                             .channels = 4,
                                             .num_classes = kClasses,
                                             .distillation = distils ? 1.0 : 0.0,
                                             .temperature = 2,
                                             .seed = 7})
      .make();
}

inline std::vector<SelfDistillation> SelfDistillationLosses() {
  std::vector<SelfDistillation> losses = {{"sla", true, true, MakeSla}};
  for (const char* form : {"at", "fitnet", "overhaul"}) {
    const FrskdFeatures features = ParseFrskdFeatures(form).value();
    losses.push_back({std::string("frskd_") + form, false, false,
                      [=](bool distils) { return MakeFrskd(features, distils); }});
    for (const bool sla : {false, true}) {
      losses.push_back({std::string("frskd_classifier_") + form + (sla ? "_sla" : ""), true, sla,
                        [=](bool distils) { return MakeFrskdClassifier(features, sla, distils); }});
    }
  }
  return losses;
}

}  // namespace reflux
