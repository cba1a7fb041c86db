#include "common/spec/task_check.h"

#include <set>

#include "absl/strings/str_cat.h"
#include "common/spec/job_teachers.h"

namespace reflux {
namespace {

using google::protobuf::FieldDescriptor;
using Problems = std::vector<std::pair<std::string, std::string>>;

bool IsClassifier(const std::string& model) {
  return model == "cifar_resnet18" || model == "wrn16x2";
}

void CheckModel(const v1::JobSpec& spec, Problems& problems) {
  const std::string &model = spec.student().model(), &format = spec.data().format();
  const bool images = IsClassification(spec.data());
  if (format.empty() || model.empty() || IsClassifier(model) == images) return;
  problems.emplace_back("student.model",
                        images
                            ? absl::StrCat("`", model, "` labels pixels, but data.format ", format,
                                           " labels whole images: use cifar_resnet18 or wrn16x2")
                            : absl::StrCat("`", model, "` labels whole images, but data.format ",
                                           format, " labels pixels: use a segmentation network"));
}

void CheckLosses(const v1::JobSpec& spec, Problems& problems) {
  static const auto& of_both = *new std::set<std::string>{"ce", "kd", "at", "fitnet", "own"};
  static const auto& of_images = *new std::set<std::string>{"frskd_classifier", "sla"};
  const bool images = IsClassification(spec.data());
  std::vector<const FieldDescriptor*> losses;
  spec.losses().GetReflection()->ListFields(spec.losses(), &losses);
  for (const FieldDescriptor* loss : losses) {
    const std::string& name = loss->name();
    if (of_both.count(name) > 0 || (of_images.count(name) > 0) == images) continue;
    std::string text = images ? "is for segmentation" : "is for classification (format cifar100)";
    if (name == "frskd") text += ": a classifier's is frskd_classifier";
    if (name == "frskd_classifier") text += ": a segmentation network's is frskd";
    problems.emplace_back(absl::StrCat("losses.", name), std::move(text));
  }
}

void CheckMix(const v1::JobSpec& spec, Problems& problems) {
  const std::string& mix = spec.train().mix();
  if (mix != "mixup" && mix != "cutmix") return;
  const auto bad = [&](const char* text) { problems.emplace_back("train.mix", text); };
  if (!IsClassification(spec.data())) bad("is for classification (format cifar10, cifar100)");
  if (NeedsTeacher(spec.losses()))
    bad("a teacher sees each image alone: leave out the losses that have one");
  if (spec.losses().has_sla() || spec.losses().frskd_classifier().sla())
    bad("cannot be together with sla, whose images are not mixed");
}

}  // namespace

bool IsClassification(const v1::DataSpec& data) {
  return data.format() == "cifar10" || data.format() == "cifar100";
}

std::vector<std::pair<std::string, std::string>> TaskProblems(const v1::JobSpec& spec) {
  Problems problems;
  CheckModel(spec, problems);
  CheckLosses(spec, problems);
  CheckMix(spec, problems);
  if (!IsClassification(spec.data())) return problems;
  const v1::DataSpec& data = spec.data();
  if (!data.eval_window().empty() || !data.eval_scales().empty() || data.eval_flip())
    problems.emplace_back("data", "eval_window, eval_scales and eval_flip are for segmentation");
  if (spec.targets().views() == "whole" || spec.targets().views() == "auto")
    problems.emplace_back("targets.views",
                          "whole and auto are for segmentation: a classifier's "
                          "logits have no places to take a view from");
  if (spec.losses().has_sla() && spec.losses().frskd_classifier().sla())
    problems.emplace_back("losses.sla", "frskd_classifier has sla: true, which includes it");
  return problems;
}

}  // namespace reflux
