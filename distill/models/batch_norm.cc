#include "distill/models/batch_norm.h"

#include <utility>

namespace reflux {
namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;

// Carries the hook through the autograd context.
struct SyncHolder : torch::CustomClassHolder {
  explicit SyncHolder(std::shared_ptr<BatchNormSync> value) : sync(std::move(value)) {}
  std::shared_ptr<BatchNormSync> sync;
};

// Float32 at least: bfloat16 sums over a feature map are worthless.
torch::Dtype StatisticsType(const Tensor& input) {
  return input.scalar_type() == torch::kFloat64 ? torch::kFloat64 : torch::kFloat32;
}

Tensor PerChannel(const Tensor& values) { return values.reshape({1, -1, 1, 1}); }

struct Moments {
  Tensor mean, squares;  // [C] float64; squares: sum of squared distances from the mean
  double count = 0;      // values per channel
};

Moments LocalMoments(const Tensor& values) {
  const int64_t channels = values.size(1);
  const double count = static_cast<double>(values.numel() / std::max<int64_t>(channels, 1));
  if (count == 0) {
    const Tensor zero = torch::zeros({channels}, values.options().dtype(torch::kFloat64));
    return {zero, zero, 0};
  }
  const auto [variance, mean] =
      torch::var_mean(values, torch::IntArrayRef({0, 2, 3}), /*unbiased=*/false);
  return {mean.to(torch::kFloat64), variance.to(torch::kFloat64) * count, count};
}

// Chan's formula for any number of parts: squares = sum_r squares_r + n_r (mean_r - mean)^2.
Moments GlobalMoments(const Moments& local, BatchNormSync& sync) {
  const Tensor count = torch::full({1}, local.count, local.mean.options());
  const Tensor sums = sync.AllReduceSum(torch::cat({local.mean * local.count, count}));
  Moments global;
  global.count = sums[-1].item<double>();
  global.mean = sums.slice(0, 0, -1) / std::max(global.count, 1.0);
  global.squares =
      sync.AllReduceSum(local.squares + local.count * (local.mean - global.mean).square());
  return global;
}

// y = (x - mean) * inverse_deviation * weight + bias with moments over all ranks.
struct SynchronisedNormalisation : torch::autograd::Function<SynchronisedNormalisation> {
  static Tensor forward(AutogradContext* context, const Tensor& input, const Tensor& weight,
                        const Tensor& bias, const Tensor& mean, const Tensor& inverse_deviation,
                        double count, const c10::intrusive_ptr<SyncHolder>& sync) {
    context->save_for_backward({input, weight, mean, inverse_deviation});
    context->saved_data["count"] = count;
    context->saved_data["sync"] = c10::IValue::make_capsule(sync);
    const Tensor scale = inverse_deviation * weight.to(mean.scalar_type());
    const Tensor values = input.to(mean.scalar_type());
    return ((values - PerChannel(mean)) * PerChannel(scale) +
            PerChannel(bias.to(mean.scalar_type())))
        .to(input.scalar_type());
  }

  static tensor_list backward(AutogradContext* context, tensor_list gradients) {
    const auto saved = context->get_saved_variables();
    const Tensor &input = saved[0], &weight = saved[1], &mean = saved[2], &inverse = saved[3];
    const auto type = mean.scalar_type();
    const Tensor gradient = gradients[0].to(type);
    const Tensor normalised = (input.to(type) - PerChannel(mean)) * PerChannel(inverse);
    const Tensor sum_gradient = gradient.sum({0, 2, 3});
    const Tensor sum_product = (gradient * normalised).sum({0, 2, 3});

    const auto holder =
        c10::static_intrusive_pointer_cast<SyncHolder>(context->saved_data["sync"].toCapsule());
    const Tensor means = holder->sync->AllReduceSum(torch::cat({sum_gradient, sum_product})) /
                         context->saved_data["count"].toDouble();
    const auto halves = means.chunk(2);
    const Tensor input_gradient =
        (gradient - PerChannel(halves[0]) - normalised * PerChannel(halves[1])) *
        PerChannel(inverse * weight.to(type));
    return {input_gradient.to(input.scalar_type()),
            sum_product.to(weight.scalar_type()),
            sum_gradient.to(weight.scalar_type()),
            {},
            {},
            {},
            {}};
  }
};

void CheckCount(double count) {
  TORCH_CHECK(count > 1, "batch norm in training mode needs more than one value per channel, got ",
              count, "; train with at least two images over all ranks");
}

}  // namespace

BatchNorm2dImpl::BatchNorm2dImpl(int64_t channels, double epsilon, double momentum)
    : epsilon_(epsilon), momentum_(momentum) {
  weight = register_parameter("weight", torch::ones({channels}));
  bias = register_parameter("bias", torch::zeros({channels}));
  running_mean = register_buffer("running_mean", torch::zeros({channels}));
  running_var = register_buffer("running_var", torch::ones({channels}));
  num_batches_tracked = register_buffer("num_batches_tracked", torch::zeros({}, torch::kInt64));
}

Tensor BatchNorm2dImpl::forward(const Tensor& input) {
  if (is_training()) {
    torch::NoGradGuard no_grad;
    num_batches_tracked.add_(1);
  }
  if (is_training() && sync_ && sync_->world_size() > 1) return ForwardSynchronised(input);
  if (is_training()) CheckCount(static_cast<double>(input.numel()) / input.size(1));
  return at::batch_norm(input, weight, bias, running_mean, running_var, is_training(), momentum_,
                        epsilon_, /*cudnn_enabled=*/true);
}

Tensor BatchNorm2dImpl::ForwardSynchronised(const Tensor& input) {
  const auto type = StatisticsType(input);
  Moments moments;
  {
    torch::NoGradGuard no_grad;
    moments = GlobalMoments(LocalMoments(input.to(type)), *sync_);
    CheckCount(moments.count);
    running_mean.lerp_(moments.mean.to(running_mean.scalar_type()), momentum_);
    const Tensor unbiased = moments.squares / (moments.count - 1);
    running_var.lerp_(unbiased.to(running_var.scalar_type()), momentum_);
  }
  const Tensor inverse_deviation = (moments.squares / moments.count + epsilon_).rsqrt();
  return SynchronisedNormalisation::apply(input, weight, bias, moments.mean.to(type),
                                          inverse_deviation.to(type), moments.count,
                                          c10::make_intrusive<SyncHolder>(sync_));
}

void SetBatchNormSync(torch::nn::Module& model, const std::shared_ptr<BatchNormSync>& sync) {
  for (const auto& module : model.modules(/*include_self=*/false)) {
    if (auto* norm = module->as<BatchNorm2dImpl>()) norm->set_sync(sync);
  }
}

}  // namespace reflux
