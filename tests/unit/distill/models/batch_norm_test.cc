#include "distill/models/batch_norm.h"

#include <ATen/autocast_mode.h>
#include <gtest/gtest.h>

#include "tests/unit/distill/models/thread_ranks.h"

namespace reflux {
namespace {

using torch::Tensor;

struct Result {
  Tensor output, input_gradient, weight_gradient, bias_gradient, running_mean, running_var;
};

// Two training passes so that the running statistics have moved twice; gradients of the second.
// The rank's loss is scaled as distill/losses/loss.h says.
Result Train(const Tensor& input, const Tensor& coefficients, double scale,
             const std::shared_ptr<BatchNormSync>& sync) {
  BatchNorm2d norm(input.size(1));
  norm->to(input.scalar_type() == torch::kBFloat16 ? torch::kFloat32 : input.scalar_type());
  {
    torch::NoGradGuard no_grad;
    norm->weight.copy_(torch::linspace(0.5, 2, input.size(1)));
    norm->bias.copy_(torch::linspace(-1, 1, input.size(1)));
  }
  norm->set_sync(sync);
  norm->forward(input + 1);
  const Tensor leaf = input.detach().clone().requires_grad_();
  const Tensor output = norm->forward(leaf);
  ((output.to(coefficients.scalar_type()) * coefficients).sum() * scale).backward();
  return {output.detach(),   leaf.grad(),        norm->weight.grad(),
          norm->bias.grad(), norm->running_mean, norm->running_var};
}

Tensor Ramp(torch::IntArrayRef shape, double frequency) {
  int64_t count = 1;
  for (const int64_t size : shape) count *= size;
  return torch::sin(torch::arange(count, torch::kFloat64) * frequency).reshape(shape) * 3 + 0.5;
}

void ExpectClose(const Tensor& actual, const Tensor& expected, double tolerance) {
  ASSERT_EQ(actual.sizes(), expected.sizes());
  const double error =
      (actual.to(torch::kFloat64) - expected.to(torch::kFloat64)).abs().max().item<double>();
  EXPECT_LE(error, tolerance * expected.abs().max().item<double>());
}

class BatchNormSplitTest : public testing::TestWithParam<std::vector<int64_t>> {};

TEST_P(BatchNormSplitTest, EqualsOneProcess) {
  const std::vector<int64_t> shares = GetParam();
  const int64_t ranks = shares.size();
  const Tensor input = Ramp({6, 3, 4, 5}, 0.7), coefficients = Ramp({6, 3, 4, 5}, 1.3);
  const Result whole = Train(input, coefficients, 1.0 / 6, nullptr);

  const auto inputs = input.split_with_sizes(shares), parts = coefficients.split_with_sizes(shares);
  std::vector<Result> results(ranks);
  ThreadRanks(ranks).Run([&](int rank, const std::shared_ptr<BatchNormSync>& sync) {
    results[rank] = Train(inputs[rank], parts[rank], ranks / 6.0, sync);
  });
  std::vector<Tensor> outputs, gradients;
  Tensor weight_gradient = torch::zeros({3}, torch::kFloat64), bias_gradient = weight_gradient;
  for (const Result& result : results) {
    outputs.push_back(result.output);
    gradients.push_back(result.input_gradient / ranks);
    weight_gradient = weight_gradient + result.weight_gradient / ranks;
    bias_gradient = bias_gradient + result.bias_gradient / ranks;
    ExpectClose(result.running_mean, whole.running_mean, 1e-12);
    ExpectClose(result.running_var, whole.running_var, 1e-12);
  }
  ExpectClose(torch::cat(outputs), whole.output, 1e-12);
  ExpectClose(torch::cat(gradients), whole.input_gradient, 1e-12);
  ExpectClose(weight_gradient, whole.weight_gradient, 1e-12);
  ExpectClose(bias_gradient, whole.bias_gradient, 1e-12);
}

INSTANTIATE_TEST_SUITE_P(Shares, BatchNormSplitTest,
                         testing::Values(std::vector<int64_t>{3, 3}, std::vector<int64_t>{1, 5},
                                         std::vector<int64_t>{1, 2, 3},
                                         std::vector<int64_t>{0, 2, 4}));

TEST(BatchNormTest, MeanFarFromZeroKeepsItsVariance) {
  const Tensor input = Ramp({4, 2, 8, 8}, 0.7) + 1e4;
  const Result whole = Train(input, torch::ones_like(input), 1, nullptr);
  ThreadRanks(2).Run([&](int rank, const std::shared_ptr<BatchNormSync>& sync) {
    const Tensor half = input.slice(0, 2 * rank, 2 * rank + 2).to(torch::kFloat32);
    const Result result = Train(half, torch::ones_like(half), 1, sync);
    ExpectClose(result.running_var, whole.running_var, 1e-3);
  });
}

// The statistics of bfloat16 maps are those of their exact values; only the output is rounded.
TEST(BatchNormTest, BFloat16MapsUnderAutocast) {
  const Tensor input = Ramp({4, 3, 16, 16}, 0.7).to(torch::kBFloat16);
  // Representable, so that the gradient that arrives is exact.
  const Tensor coefficients = Ramp({4, 3, 16, 16}, 1.3).to(torch::kBFloat16).to(torch::kFloat64);
  const Result exact = Train(input.to(torch::kFloat64), coefficients, 1, nullptr);
  std::vector<Result> results(2);
  ThreadRanks(2).Run([&](int rank, const std::shared_ptr<BatchNormSync>& sync) {
    at::autocast::set_autocast_enabled(at::kCPU, true);
    at::autocast::set_autocast_dtype(at::kCPU, at::kBFloat16);
    results[rank] = Train(input.slice(0, 2 * rank, 2 * rank + 2),
                          coefficients.slice(0, 2 * rank, 2 * rank + 2), 1, sync);
  });
  const Tensor output = torch::cat({results[0].output, results[1].output});
  EXPECT_EQ(output.scalar_type(), torch::kBFloat16);
  ExpectClose(output, exact.output, 0x1p-8);
  ExpectClose(torch::cat({results[0].input_gradient, results[1].input_gradient}),
              exact.input_gradient, 0x1p-7);
  // The first pass rounds input + 1 to bfloat16, so the running mean is compared loosely.
  ExpectClose(results[0].running_mean, exact.running_mean, 1e-2);
  ExpectClose(results[0].weight_gradient + results[1].weight_gradient, exact.weight_gradient, 1e-5);
}

TEST(BatchNormTest, OneValuePerChannelIsRefusedInTrainingOnly) {
  BatchNorm2d norm(2);
  EXPECT_THROW(norm->forward(torch::ones({1, 2, 1, 1})), c10::Error);
  norm->eval();
  EXPECT_NO_THROW(norm->forward(torch::ones({1, 2, 1, 1})));
}

}  // namespace
}  // namespace reflux
