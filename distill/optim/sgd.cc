#include "distill/optim/sgd.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/status_macros.h"

namespace reflux {
namespace {

bool IsBackbone(const std::string& name) {
  const std::vector<std::string> parts = absl::StrSplit(name, '.');
  return std::any_of(parts.begin(), parts.end(), [](const std::string& part) {
    return part == "pretrained" || part == "backbone";
  });
}

absl::Status OutOfRange(const char* field, double value, const char* allowed) {
  return absl::InvalidArgumentError(
      absl::StrCat("optimizer.", field, " is ", value, ", must be ", allowed));
}

bool IsNonNegative(double value) { return std::isfinite(value) && value >= 0; }

// Exactly what torch's SGD keeps of a parameter, or an undefined tensor.
torch::Tensor MomentumBuffer(const torch::optim::SGD& sgd, const torch::Tensor& parameter) {
  const auto found = sgd.state().find(parameter.unsafeGetTensorImpl());
  if (found == sgd.state().end()) return {};
  return static_cast<const torch::optim::SGDParamState&>(*found->second).momentum_buffer();
}

}  // namespace

double LearningRateSchedule::LearningRate(int64_t step) const {
  if (step >= total_steps) return 0;
  double rate =
      base_lr * std::pow(1 - static_cast<double>(step) / static_cast<double>(total_steps), power);
  for (const double share : milestones) {
    if (step >= std::llround(share * static_cast<double>(total_steps))) rate *= decay;
  }
  return rate;
}

absl::Status LearningRateSchedule::Validate() const {
  for (const double share : milestones) {
    if (!(share > 0 && share < 1)) return OutOfRange("milestones", share, "between 0 and 1");
  }
  if (!(decay > 0 && decay <= 1)) return OutOfRange("decay", decay, "above 0 and at most 1");
  if (!std::isfinite(base_lr) || base_lr <= 0) return OutOfRange("lr", base_lr, "positive");
  if (!IsNonNegative(power)) return OutOfRange("power", power, "at least 0");
  if (total_steps < 1) return OutOfRange("total_steps", total_steps, "at least 1");
  return absl::OkStatus();
}

absl::Status SgdOptions::Validate() const {
  REFLUX_RETURN_IF_ERROR(schedule.Validate());
  if (!IsNonNegative(momentum) || momentum >= 1) {
    return OutOfRange("momentum", momentum, "at least 0 and below 1");
  }
  if (!IsNonNegative(weight_decay)) return OutOfRange("weight_decay", weight_decay, "at least 0");
  if (!IsNonNegative(head_lr_multiplier)) {
    return OutOfRange("head_lr_multiplier", head_lr_multiplier, "at least 0");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Sgd>> Sgd::Create(const NamedParameters& parameters,
                                                 const SgdOptions& options) {
  REFLUX_RETURN_IF_ERROR(options.Validate());
  if (parameters.empty()) return absl::InvalidArgumentError("the optimizer has no parameters");
  return std::unique_ptr<Sgd>(new Sgd(parameters, options));
}

Sgd::Sgd(const NamedParameters& parameters, const SgdOptions& options)
    : parameters_(parameters), options_(options) {
  // Group: (head, exempt from weight decay).
  std::map<std::pair<bool, bool>, std::vector<torch::Tensor>> groups;
  for (const auto& [name, parameter] : parameters_) {
    const bool exempt = options.exempt_norms_and_biases && parameter.dim() <= 1;
    groups[{!IsBackbone(name), exempt}].push_back(parameter);
  }
  std::vector<torch::optim::OptimizerParamGroup> torch_groups;
  for (const auto& [kind, members] : groups) {
    const auto& [head, exempt] = kind;
    multipliers_.push_back(head ? options.head_lr_multiplier : 1);
    auto group_options = std::make_unique<torch::optim::SGDOptions>(options.schedule.base_lr);
    group_options->momentum(options.momentum).weight_decay(exempt ? 0 : options.weight_decay);
    torch_groups.emplace_back(members, std::move(group_options));
  }
  sgd_ = std::make_unique<torch::optim::SGD>(torch_groups,
                                             torch::optim::SGDOptions(options.schedule.base_lr));
}

void Sgd::Step(int64_t step) {
  const double rate = options_.schedule.LearningRate(step);
  for (size_t i = 0; i < multipliers_.size(); ++i) {
    sgd_->param_groups()[i].options().set_lr(rate * multipliers_[i]);
  }
  sgd_->step();
}

std::map<std::string, torch::Tensor> Sgd::SaveState() const {
  std::map<std::string, torch::Tensor> buffers;
  for (const auto& [name, parameter] : parameters_) {
    const torch::Tensor buffer = MomentumBuffer(*sgd_, parameter);
    if (buffer.defined()) buffers[name] = buffer.detach().to(torch::kCPU).clone();
  }
  return buffers;
}

absl::Status Sgd::LoadState(const std::map<std::string, torch::Tensor>& buffers) {
  for (const auto& [name, buffer] : buffers) {
    const auto found = parameters_.find(name);
    if (found == parameters_.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat("optimizer state for unknown parameter '", name, "'"));
    }
    if (found->second.sizes() != buffer.sizes()) {
      return absl::InvalidArgumentError(
          absl::StrCat("optimizer state of '", name, "' has another shape than the parameter"));
    }
  }
  sgd_->state().clear();
  for (const auto& [name, buffer] : buffers) {
    const torch::Tensor& parameter = parameters_.at(name);
    auto state = std::make_unique<torch::optim::SGDParamState>();
    state->momentum_buffer(buffer.to(parameter.device(), parameter.scalar_type(),
                                     /*non_blocking=*/false,
                                     /*copy=*/true));
    sgd_->state()[parameter.unsafeGetTensorImpl()] = std::move(state);
  }
  return absl::OkStatus();
}

Sgd::NamedParameters ParametersOf(const torch::nn::Module& module, const std::string& prefix) {
  Sgd::NamedParameters parameters;
  for (const auto& item : module.named_parameters()) {
    parameters[prefix + item.key()] = item.value();
  }
  return parameters;
}

}  // namespace reflux
