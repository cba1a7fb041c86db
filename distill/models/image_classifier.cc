#include "distill/models/image_classifier.h"

#include "absl/strings/str_cat.h"
#include "distill/models/cifar_resnet.h"
#include "distill/models/wide_resnet.h"

namespace reflux {

absl::StatusOr<std::shared_ptr<ImageClassifier>> BuildImageClassifier(
    const ClassifierOptions& options) {
  if (options.num_classes < 2) {
    return absl::InvalidArgumentError(
        absl::StrCat("num_classes: ", options.num_classes, " is below 2"));
  }
  if (!(options.norm_epsilon > 0) || !(options.norm_momentum > 0 && options.norm_momentum <= 1)) {
    return absl::InvalidArgumentError("norm_epsilon and norm_momentum must be positive");
  }
  if (options.architecture == "cifarresnet18") {
    return std::make_shared<CifarResNet18>(options, CifarResNet18::Stem::kCifar);
  }
  if (options.architecture == "resnet18") {
    return std::make_shared<CifarResNet18>(options, CifarResNet18::Stem::kImageNet);
  }
  if (options.architecture == "wrn16x2") {
    return std::make_shared<WideResNet>(options, /*depth=*/16, /*widening=*/2);
  }
  return absl::NotFoundError(absl::StrCat("unknown classifier '", options.architecture,
                                          "'; known are cifarresnet18, resnet18, wrn16x2"));
}

}  // namespace reflux
