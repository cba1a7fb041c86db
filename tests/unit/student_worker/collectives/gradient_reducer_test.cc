#include "student_worker/collectives/gradient_reducer.h"

#include <gtest/gtest.h>
#include <torch/nn/modules/conv.h>

#include <map>
#include <mutex>

#include "student_worker/collectives/distillation_adapters.h"
#include "tests/unit/student_worker/collectives/ranks.h"

namespace reflux {
namespace {

using torch::Tensor;

constexpr int kBatch = 5;
constexpr int kSteps = 20;
// Several buckets even for the small network below.
constexpr GradientReducerOptions kSmallBuckets{.first_bucket_bytes = 64, .bucket_bytes = 128};

// Values in [-1, 1] that depend on `seed` alone.
Tensor Fill(torch::IntArrayRef shape, double seed, torch::Dtype type = torch::kFloat64) {
  const Tensor index = torch::arange(c10::multiply_integers(shape), torch::kFloat64);
  return (index * 1.7 + seed).sin().reshape(shape).to(type);
}

struct NetworkImpl : torch::nn::Module {
  explicit NetworkImpl(torch::Dtype type) {
    first = register_module("first", torch::nn::Conv2d(torch::nn::Conv2dOptions(2, 4, 3)));
    norm = register_module("norm", BatchNorm2d(4));
    last = register_module("last", torch::nn::Conv2d(torch::nn::Conv2dOptions(4, 3, 1)));
    to(type);
    torch::NoGradGuard no_grad;
    double seed = 0;
    for (Tensor& parameter : parameters()) parameter.copy_(Fill(parameter.sizes(), ++seed));
  }
  Tensor forward(const Tensor& images) {
    return last->forward(norm->forward(first->forward(images)).relu());
  }
  torch::nn::Conv2d first{nullptr}, last{nullptr};
  BatchNorm2d norm{nullptr};
};
TORCH_MODULE(Network);

// One additive term, by the global count and the world size, and one function of a global sum.
Tensor Loss(const Tensor& output, const Tensor& target, int64_t global_values,
            Communicator& communicator) {
  const Tensor additive = (output - target).square().sum() * communicator.world_size() /
                          static_cast<double>(global_values);
  const Tensor sums = communicator.AllReduceSumDifferentiable(output.sum({0, 2, 3}));
  return additive + 0.1 * (sums / kBatch).square().sum().sqrt();
}

// Trains this rank's share of each batch; the weights and running statistics afterwards, flat.
Tensor Train(Communicator& communicator, torch::Dtype type, int steps) {
  Network network(type);
  SetBatchNormSync(*network, std::make_shared<CommunicatorBatchNormSync>(communicator));
  const auto reducer = communicator.MakeGradientReducer(network->parameters(), kSmallBuckets);
  if (!reducer.ok()) throw std::runtime_error(reducer.status().ToString());
  torch::optim::SGD optimizer(network->parameters(), torch::optim::SGDOptions(0.05).momentum(0.9));
  const int64_t begin = kBatch * communicator.rank() / communicator.world_size();
  const int64_t end = kBatch * (communicator.rank() + 1) / communicator.world_size();
  for (int step = 0; step < steps; ++step) {
    const Tensor images = Fill({kBatch, 2, 6, 5}, step + 0.5, type);
    const Tensor targets = Fill({kBatch, 3, 4, 3}, step + 0.25, type);
    optimizer.zero_grad();
    const Tensor loss = Loss(network->forward(images.slice(0, begin, end)),
                             targets.slice(0, begin, end), targets.numel(), communicator);
    (*reducer)->PrepareForBackward(loss);
    loss.backward();
    optimizer.step();
  }
  std::vector<Tensor> state;
  for (const Tensor& parameter : network->parameters())
    state.push_back(parameter.detach().flatten());
  state.push_back(network->norm->running_mean);
  state.push_back(network->norm->running_var);
  return torch::cat(state);
}

std::map<int, Tensor> TrainRanks(int world_size, torch::Dtype type, int steps) {
  std::mutex mutex;
  std::map<int, Tensor> states;
  RunRanks(world_size, [&](Communicator& communicator) {
    const Tensor state = Train(communicator, type, steps);
    const std::lock_guard<std::mutex> lock(mutex);
    states[communicator.rank()] = state;
  });
  return states;
}

double RelativeError(const Tensor& value, const Tensor& expected) {
  return ((value - expected).norm() / expected.norm()).item<double>();
}

class GradientReducerTest : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(WorldSizes, GradientReducerTest, testing::Values(1, 2, 3));

TEST_P(GradientReducerTest, UnevenSharesTrainAsASingleProcess) {
  SingleProcessCommunicator single;
  const Tensor expected = Train(single, torch::kFloat64, kSteps);
  EXPECT_GT(RelativeError(expected, Train(single, torch::kFloat64, 0)), 0.05) << "learns nothing";
  const auto states = TrainRanks(GetParam(), torch::kFloat64, kSteps);
  ASSERT_EQ(states.size(), GetParam());
  for (const auto& [rank, state] : states) {
    EXPECT_LT(RelativeError(state, expected), 1e-9) << "rank " << rank;
    EXPECT_TRUE(state.equal(states.at(0))) << "rank " << rank << " parted from rank 0";
  }
}

TEST_P(GradientReducerTest, FirstStepInSinglePrecision) {
  SingleProcessCommunicator single;
  const Tensor expected = Train(single, torch::kFloat32, 1);
  for (const auto& [rank, state] : TrainRanks(GetParam(), torch::kFloat32, 1)) {
    EXPECT_LT(RelativeError(state, expected), 1e-5) << "rank " << rank;
  }
}

TEST_P(GradientReducerTest, SameBitsInEveryRun) {
  const auto once = TrainRanks(GetParam(), torch::kFloat32, 5);
  const auto again = TrainRanks(GetParam(), torch::kFloat32, 5);
  for (const auto& [rank, state] : once) EXPECT_TRUE(state.equal(again.at(rank))) << rank;
}

TEST_P(GradientReducerTest, UnusedParameters) {
  const int world_size = GetParam();
  RunRanks(world_size, [&](Communicator& communicator) {
    const auto make = [](double value) {
      return torch::full({2}, value, torch::kFloat64).requires_grad_();
    };
    const Tensor everywhere = make(1), on_rank_0 = make(2), nowhere = make(3), frozen = make(4);
    frozen.set_requires_grad(false);
    const auto reducer =
        communicator.MakeGradientReducer({everywhere, on_rank_0, nowhere, frozen}, kSmallBuckets);
    ASSERT_TRUE(reducer.ok()) << reducer.status();
    for (int step = 0; step < 3; ++step) {  // a bad state shows a step later
      everywhere.mutable_grad().reset();
      on_rank_0.mutable_grad().reset();
      Tensor loss = (communicator.rank() + 1) * (everywhere * frozen).sum();
      if (communicator.rank() == 0) loss = loss + 6 * on_rank_0.sum();
      (*reducer)->PrepareForBackward(loss);
      loss.backward();
      EXPECT_DOUBLE_EQ(everywhere.grad()[0].item<double>(), 4 * (world_size + 1) / 2.0);
      EXPECT_DOUBLE_EQ(on_rank_0.grad()[1].item<double>(), 6.0 / world_size);
      EXPECT_FALSE(nowhere.grad().defined());
    }
  });
}

TEST(MakeGradientReducer, RefusesBadOptionsAndNoParameters) {
  RunRanks(2, [](Communicator& communicator) {
    EXPECT_EQ(communicator.MakeGradientReducer({}, {}).status().code(),
              absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(communicator.MakeGradientReducer({}, {.bucket_bytes = 0}).status().code(),
              absl::StatusCode::kInvalidArgument);
  });
}

TEST(MakeGradientReducer, RefusesParametersThatDifferFromRank0) {
  RunRanks(2, [](Communicator& communicator) {
    const Tensor parameter = torch::zeros({2 + communicator.rank()}).requires_grad_();
    const auto reducer = communicator.MakeGradientReducer({parameter}, {});
    if (communicator.rank() == 0) return;  // its own parameters are the measure
    EXPECT_EQ(reducer.status().code(), absl::StatusCode::kUnavailable);
    EXPECT_NE(std::string(reducer.status().message()).find("rank 1 of 2"), std::string::npos);
  });
}

}  // namespace
}  // namespace reflux
