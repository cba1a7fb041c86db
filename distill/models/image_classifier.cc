#include "distill/models/image_classifier.h"

#include "absl/strings/str_cat.h"
#include "distill/models/cifar_resnet.h"
#include "distill/models/wide_resnet.h"

namespace reflux {

std::string StageTap(size_t stage, bool before_relu) {
  return absl::StrCat("c", stage + 1, before_relu ? "_pre" : "");
}

std::vector<TapInfo> ImageClassifier::taps() const {
  std::vector<TapInfo> taps;
  for (const bool before_relu : {false, true}) {
    int64_t stride = first_stride();
    for (const int64_t channels : channels()) {
      taps.push_back(
          {StageTap(taps.size() % this->channels().size(), before_relu), channels, stride});
      stride *= 2;
    }
  }
  taps.push_back({"logits", num_classes(), /*stride=*/0});
  return taps;
}

std::string ImageClassifier::configuration() const {
  return absl::StrCat("norm_epsilon=", options_.norm_epsilon);
}

TapOutputs ImageClassifier::Forward(const torch::Tensor& images,
                                    const std::vector<std::string>& wanted) {
  const ClassifierOutputs outputs = Classify(images);
  TapOutputs maps = {{"logits", outputs.logits.unsqueeze(-1).unsqueeze(-1)}};
  for (const std::string& tap : wanted) {
    for (size_t i = 0; i < outputs.maps.size(); ++i) {
      if (tap == StageTap(i)) maps[tap] = outputs.maps[i];
      if (tap == StageTap(i, /*before_relu=*/true)) maps[tap] = outputs.before_relu[i];
    }
    TORCH_CHECK(maps.count(tap) > 0, architecture(), " has no tap '", tap, "'; it has c1 to c",
                outputs.maps.size(), ", the same with _pre, and logits");
  }
  return maps;
}

absl::StatusOr<std::shared_ptr<ImageClassifier>> BuildImageClassifier(
    const ClassifierOptions& options) {
  if (options.num_classes < 2) {
    return absl::InvalidArgumentError(
        absl::StrCat("num_classes: ", options.num_classes, " is below 2"));
  }
  if (!(options.norm_epsilon > 0) || !(options.norm_momentum > 0 && options.norm_momentum <= 1)) {
    return absl::InvalidArgumentError("norm_epsilon and norm_momentum must be positive");
  }
  if (options.architecture == "cifar_resnet18") {
    return std::make_shared<CifarResNet18>(options, CifarResNet18::Stem::kCifar);
  }
  if (options.architecture == "resnet18") {
    return std::make_shared<CifarResNet18>(options, CifarResNet18::Stem::kImageNet);
  }
  if (options.architecture == "wrn16x2") {
    return std::make_shared<WideResNet>(options, /*depth=*/16, /*widening=*/2);
  }
  return absl::NotFoundError(absl::StrCat("unknown classifier '", options.architecture,
                                          "'; known are cifar_resnet18, resnet18, wrn16x2"));
}

}  // namespace reflux
