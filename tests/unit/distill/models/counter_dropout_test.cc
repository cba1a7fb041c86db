#include "distill/models/counter_dropout.h"

#include <gtest/gtest.h>

namespace reflux {
namespace {

torch::Tensor Drop(const torch::Tensor& input, double p, const std::string& layer,
                   const DropoutContext& context) {
  CounterDropout dropout(p);
  dropout->set_context(layer, context);
  return dropout->forward(input);
}

TEST(CounterDropoutTest, AnySplitGivesTheSameMask) {
  const torch::Tensor input = torch::rand({5, 3, 7, 3});
  const torch::Tensor whole = Drop(input, 0.4, "head.block.3", {7, 12, 100});
  for (const int64_t cut : {0, 1, 3}) {
    const auto first = Drop(input.slice(0, 0, cut), 0.4, "head.block.3", {7, 12, 100});
    const auto second =
        Drop(input.slice(0, cut), 0.4, "head.block.3", {7, 12, 100 + static_cast<uint64_t>(cut)});
    EXPECT_TRUE(torch::equal(torch::cat({first, second}), whole)) << cut;
  }
}

TEST(CounterDropoutTest, MemoryFormatChangesNothing) {
  const torch::Tensor input = torch::rand({2, 8, 5, 5});
  const auto last = input.contiguous(at::MemoryFormat::ChannelsLast);
  EXPECT_TRUE(torch::equal(Drop(input, 0.1, "a", {}), Drop(last, 0.1, "a", {})));
}

TEST(CounterDropoutTest, EveryCounterMatters) {
  const torch::Tensor input = torch::ones({1, 1, 16, 16});
  const torch::Tensor base = Drop(input, 0.5, "a", {1, 2, 3});
  EXPECT_FALSE(torch::equal(base, Drop(input, 0.5, "b", {1, 2, 3})));
  EXPECT_FALSE(torch::equal(base, Drop(input, 0.5, "a", {9, 2, 3})));
  EXPECT_FALSE(torch::equal(base, Drop(input, 0.5, "a", {1, 9, 3})));
  EXPECT_FALSE(torch::equal(base, Drop(input, 0.5, "a", {1, 2, 9})));
}

TEST(CounterDropoutTest, RateAndScale) {
  const torch::Tensor output = Drop(torch::ones({4, 1, 200, 200}), 0.1, "a", {1, 2, 3});
  // 160000 draws: standard deviation 0.00075.
  EXPECT_NEAR((output == 0).to(torch::kFloat64).mean().item<double>(), 0.1, 0.004);
  EXPECT_FLOAT_EQ(output.max().item<float>(), 1 / 0.9);
}

TEST(CounterDropoutTest, GradientPassesTheKeptValues) {
  const torch::Tensor input = torch::ones({1, 2, 3, 5}).requires_grad_();
  const torch::Tensor output = Drop(input, 0.5, "a", {});
  output.sum().backward();
  EXPECT_TRUE(torch::equal(input.grad(), output.detach()));
}

TEST(CounterDropoutTest, IdentityInEvaluationAndErrorWithoutContext) {
  CounterDropout dropout(0.5);
  EXPECT_THROW(dropout->forward(torch::ones({1, 2})), c10::Error);
  dropout->eval();
  const torch::Tensor input = torch::rand({1, 2});
  EXPECT_TRUE(torch::equal(dropout->forward(input), input));
  EXPECT_THROW(CounterDropout(1.0), c10::Error);
}

}  // namespace
}  // namespace reflux
