#include "distill/evaluation/confusion_matrix.h"
#include "tests/golden/ops.h"

namespace reflux::golden {
namespace {

using torch::Tensor;

GoldenOutcome Metrics(const GoldenCase& golden) {
  const Tensor labels = golden.Input("labels");                 // [updates,N,H,W]
  const Tensor predictions = golden.Input("logits").argmax(2);  // of [updates,N,C,H,W]
  ConfusionMatrix total(golden.Param<int64_t>("num_classes"));
  for (int64_t i = 0; i < golden.Param<int64_t>("updates"); ++i) {
    ConfusionMatrix update(golden.Param<int64_t>("num_classes"));
    update.Add(predictions[i], labels[i], golden.Param<int64_t>("ignore_index"));
    total.Merge(update);
  }
  const Tensor& counts = total.counts();
  GoldenOutcome outcome;
  auto& out = outcome.outputs;
  out["pred"] = predictions;
  out["confusion"] = counts;
  out["inter"] = counts.diagonal();
  out["union"] = counts.sum(0) + counts.sum(1) - counts.diagonal();
  out["iou_zero"] = torch::tensor(total.ClassIou(), torch::kFloat64).nan_to_num(0);
  out["miou_zero"] = torch::tensor(total.MeanIouPublished(), torch::kFloat64);
  out["miou_present"] = torch::tensor(total.MeanIou(), torch::kFloat64);
  out["pixel_acc"] = torch::tensor(total.PixelAccuracy(), torch::kFloat64);
  return outcome;
}

// The defect of the published code, to compare with its printed numbers: the arg max is taken after
// the logits are truncated to integers.
GoldenOutcome TruncatedMetrics(const GoldenCase& golden) {
  ConfusionMatrix total(golden.Param<int64_t>("num_classes"));
  total.Add(golden.Input("logits").to(torch::kInt64).argmax(2), golden.Input("labels"),
            golden.Param<int64_t>("ignore_index"));
  GoldenOutcome outcome;
  outcome.outputs["pixel_acc_truncated"] = torch::tensor(total.PixelAccuracy(), torch::kFloat64);
  return outcome;
}

}  // namespace

void AddMetricOps(GoldenOps& ops) {
  ops["metrics"] = {Metrics};
  ops["metrics_truncated"] = {TruncatedMetrics};
}

}  // namespace reflux::golden
