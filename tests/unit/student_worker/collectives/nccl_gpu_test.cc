// NCCL for real, as far as one GPU goes: a world of one rank.
#include <gtest/gtest.h>
#include <torch/types.h>

#include <thread>

#include "job_plan/device_plan.h"
#include "student_worker/collectives/backend_choice.h"
#include "student_worker/collectives/c10d_communicator.h"
#include "student_worker/collectives/rendezvous_store.h"

namespace reflux {
namespace {

using torch::Tensor;

TEST(NcclGpuTest, OneRankSumsAndBroadcastsOnTheGpu) {
  const auto device = PlanDevice("cuda");
  ASSERT_TRUE(device.ok()) << device.status();
  const auto store = HostStore({});
  ASSERT_TRUE(store.ok()) << store.status();
  const auto communicator = Connect({.backend = "nccl"}, *store);
  ASSERT_TRUE(communicator.ok()) << communicator.status();
  Tensor values = torch::arange(6, torch::TensorOptions(torch::kFloat32).device(*device));
  (*communicator)->AllReduceSum(values);
  (*communicator)->Broadcast(values, 0);
  EXPECT_EQ(values.sum().item<float>(), 15);
  Tensor on_the_cpu = torch::ones({2}, torch::kFloat64);
  (*communicator)->AllReduceSum(on_the_cpu);
  EXPECT_EQ(on_the_cpu.sum().item<double>(), 2);
  (*communicator)->Barrier();
}

// What ranks that share a GPU do.
TEST(NcclGpuTest, GlooSumsTensorsOfTheGpuOverTwoRanks) {
  const auto device = PlanDevice("cuda");
  ASSERT_TRUE(device.ok()) << device.status();
  const auto host = HostStore({});
  ASSERT_TRUE(host.ok()) << host.status();
  const auto run = [&](int rank, const RendezvousStore& store) {
    const auto communicator = Connect(
        {.backend = ChooseBackend({"gpu 0", "gpu 0"}), .rank = rank, .world_size = 2}, store);
    ASSERT_TRUE(communicator.ok()) << communicator.status();
    Tensor values =
        torch::full({3}, rank + 1, torch::TensorOptions(torch::kFloat64).device(*device));
    (*communicator)->AllReduceSum(values);
    EXPECT_EQ(values.sum().item<double>(), 9);
    (*communicator)->Broadcast(values, 1);
    (*communicator)->Barrier();
  };
  std::thread other([&] {
    const auto joined = JoinStore(host->address(), absl::Seconds(20));
    ASSERT_TRUE(joined.ok()) << joined.status();
    run(1, *joined);
  });
  run(0, *host);
  other.join();
}

}  // namespace
}  // namespace reflux
