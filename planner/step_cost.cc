#include "planner/step_cost.h"

#include <google/protobuf/util/message_differencer.h>

#include <vector>

namespace reflux {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

void ClearWeight(Message& loss) {
  const FieldDescriptor* weight = loss.GetDescriptor()->FindFieldByName("weight");
  if (weight == nullptr || loss.GetReflection()->GetDouble(loss, weight) == 0) return;
  loss.GetReflection()->ClearField(&loss, weight);
}

void ClearWeights(v1::LossesSpec& losses) {
  std::vector<const FieldDescriptor*> present;
  losses.GetReflection()->ListFields(losses, &present);
  for (const FieldDescriptor* field : present) {
    if (!field->is_map()) ClearWeight(*losses.GetReflection()->MutableMessage(&losses, field));
  }
  for (auto& [name, own] : *losses.mutable_own()) ClearWeight(own);
}

}  // namespace

v1::JobSpec StepCostSpec(const v1::JobSpec& spec) {
  v1::JobSpec cost = spec;
  cost.clear_name();
  cost.mutable_data()->clear_view_seed();
  cost.mutable_targets()->clear_cache();
  v1::TrainSpec& train = *cost.mutable_train();
  for (const char* field : {"seed", "steps", "epochs", "learning_rate", "head_lr_multiplier",
                            "lr_schedule", "lr_milestones", "lr_decay", "poly_power", "eval_every",
                            "checkpoint_every", "keep_checkpoints", "log_every"}) {
    train.GetReflection()->ClearField(&train, train.GetDescriptor()->FindFieldByName(field));
  }
  ClearWeights(*cost.mutable_losses());
  return cost;
}

bool SameStepCost(const v1::JobSpec& a, const v1::JobSpec& b) {
  return google::protobuf::util::MessageDifferencer::Equals(StepCostSpec(a), StepCostSpec(b));
}

}  // namespace reflux
