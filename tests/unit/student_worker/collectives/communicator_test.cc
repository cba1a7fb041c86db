#include "student_worker/collectives/communicator.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>

#include "student_worker/collectives/c10d_communicator.h"
#include "student_worker/collectives/nccl_module.h"
#include "tests/unit/student_worker/collectives/ranks.h"

namespace reflux {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;
using torch::Tensor;

class CommunicatorTest : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(WorldSizes, CommunicatorTest, testing::Values(1, 2, 3));

TEST_P(CommunicatorTest, SumsInPlaceInEveryType) {
  const int world_size = GetParam();
  RunRanks(world_size, [&](Communicator& communicator) {
    EXPECT_EQ(communicator.world_size(), world_size);
    for (const auto type : {torch::kFloat64, torch::kFloat32, torch::kInt64}) {
      Tensor values = torch::arange(6, type) + communicator.rank();
      communicator.AllReduceSum(values);
      const Tensor expected =
          torch::arange(6, type) * world_size + world_size * (world_size - 1) / 2;
      EXPECT_TRUE(values.equal(expected)) << values;
    }
  });
}

TEST_P(CommunicatorTest, TakesStridedEmptyAndGradientRequiringTensors) {
  RunRanks(GetParam(), [&](Communicator& communicator) {
    const Tensor whole = torch::ones({2, 3}, torch::kFloat64).requires_grad_();
    Tensor column = whole.detach().t().select(0, 1);  // stride 3
    communicator.AllReduceSum(column);
    EXPECT_EQ(whole.sum().item<double>(), 4 + 2 * GetParam());
    Tensor leaf = whole;
    communicator.AllReduceSum(leaf);
    EXPECT_EQ(whole[0][0].item<double>(), GetParam());
    EXPECT_TRUE(whole.is_leaf());
    Tensor nothing = torch::empty({0, 4});
    communicator.AllReduceSum(nothing);
    EXPECT_EQ(nothing.numel(), 0);
  });
}

TEST_P(CommunicatorTest, BroadcastsFromEachRoot) {
  RunRanks(GetParam(), [&](Communicator& communicator) {
    for (int root = 0; root < communicator.world_size(); ++root) {
      Tensor values = torch::full({2, 2}, 10.0 + communicator.rank());
      communicator.Broadcast(values, root);
      EXPECT_TRUE(values.equal(torch::full({2, 2}, 10.0 + root))) << values;
    }
    Tensor values = torch::zeros({1});
    EXPECT_THROW(communicator.Broadcast(values, communicator.world_size()), c10::Error);
  });
}

TEST_P(CommunicatorTest, BarrierWaitsForAll) {
  std::atomic<int> arrived = 0;
  RunRanks(GetParam(), [&](Communicator& communicator) {
    ++arrived;
    communicator.Barrier();
    EXPECT_EQ(arrived, GetParam());
  });
}

// loss_r = c_r * f(sum_k x_k): the gradient of x_k is (sum_r c_r) f'(sum x), here f = square.
TEST_P(CommunicatorTest, DifferentiableSumSumsGradients) {
  const int world_size = GetParam();
  RunRanks(world_size, [&](Communicator& communicator) {
    const double rank = communicator.rank();
    Tensor x = torch::tensor({1.0 + rank, -2.0}, torch::kFloat64).requires_grad_();
    const Tensor sum = communicator.AllReduceSumDifferentiable(x);
    const double total = world_size + world_size * (world_size - 1) / 2.0;
    EXPECT_EQ(sum[0].item<double>(), total);
    ((rank + 1) * sum.square().sum()).backward();
    const double weights = world_size * (world_size + 1) / 2.0;
    EXPECT_DOUBLE_EQ(x.grad()[0].item<double>(), weights * 2 * total);
    EXPECT_DOUBLE_EQ(x.grad()[1].item<double>(), weights * 2 * -2 * world_size);
    EXPECT_EQ(x[0].item<double>(), 1 + rank) << "the input is not changed";
  });
}

TEST(SingleProcessCommunicator, IsTheIdentity) {
  SingleProcessCommunicator communicator;
  Tensor x = torch::tensor({3.0}).requires_grad_();
  communicator.AllReduceSumDifferentiable(x * 2).backward();
  EXPECT_EQ(x.grad().item<float>(), 2);
  communicator.AllReduceSum(x);
  communicator.Broadcast(x, 0);
  communicator.Barrier();
  EXPECT_EQ(x.item<float>(), 3);
  EXPECT_EQ(communicator.rank(), 0);
  EXPECT_EQ(communicator.world_size(), 1);
}

TEST(BackendFor, NcclNeedsAGpuForEveryRank) {
  EXPECT_EQ(BackendFor(2, 2), "nccl");
  EXPECT_EQ(BackendFor(2, 1), "gloo");
  EXPECT_EQ(BackendFor(2, 0), "gloo");
}

TEST(RendezvousStore, TcpStoreJoinsRanksOnLoopback) {
  const auto host = HostStore({});
  ASSERT_TRUE(host.ok()) << host.status();
  EXPECT_THAT(host->address(), StartsWith("127.0.0.1:"));
  EXPECT_EQ(host->local_address(), "127.0.0.1");
  const auto run = [&](int rank, const RendezvousStore& store) {
    ConnectOptions options;
    options.rank = rank;
    options.world_size = 2;
    options.generation = 7;
    auto communicator = Connect(options, store);
    ASSERT_TRUE(communicator.ok()) << communicator.status();
    Tensor values = torch::ones({3});
    (*communicator)->AllReduceSum(values);
    EXPECT_EQ(values.sum().item<float>(), 6);
  };
  std::thread other([&] {
    const auto joined = JoinStore(host->address(), absl::Seconds(20));
    ASSERT_TRUE(joined.ok()) << joined.status();
    run(1, *joined);
  });
  run(0, *host);
  other.join();
}

TEST(RendezvousStore, ListensOnItsOwnAddressOnly) {
  const auto host = HostStore({});
  ASSERT_TRUE(host.ok()) << host.status();
  const std::string port = host->address().substr(host->address().find(':') + 1);
  const auto connect_to = [&](const char* address) {
    sockaddr_in remote{};
    remote.sin_family = AF_INET;
    remote.sin_port = htons(std::stoi(port));
    inet_pton(AF_INET, address, &remote.sin_addr);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int result = connect(fd, reinterpret_cast<sockaddr*>(&remote), sizeof(remote));
    close(fd);
    return result;
  };
  EXPECT_EQ(connect_to("127.0.0.1"), 0);
  EXPECT_NE(connect_to("127.0.0.2"), 0) << "reached through another address of this host";
}

TEST(RendezvousStore, RefusesBadAddresses) {
  for (const char* address : {"", "localhost", ":1", "127.0.0.1:0", "127.0.0.1:65536", "a:b"}) {
    EXPECT_EQ(JoinStore(address, absl::Seconds(1)).status().code(),
              absl::StatusCode::kInvalidArgument)
        << address;
  }
  // TEST-NET-1 is no address of this host.
  EXPECT_EQ(HostStore({.host = "192.0.2.1"}).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(RendezvousStore, JoiningAStoreThatIsGoneIsUnavailable) {
  std::string address;
  {
    const auto host = HostStore({});
    ASSERT_TRUE(host.ok()) << host.status();
    address = host->address();
  }
  const auto joined = JoinStore(address, absl::Milliseconds(100));
  EXPECT_EQ(joined.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(joined.status().message()), HasSubstr(address));
}

TEST(Connect, ValidatesOptions) {
  const RendezvousStore store = InProcessStore();
  for (const ConnectOptions& options :
       {ConnectOptions{.backend = "mpi"}, ConnectOptions{.rank = 2, .world_size = 2},
        ConnectOptions{.rank = -1}, ConnectOptions{.world_size = 0},
        ConnectOptions{.timeout = absl::ZeroDuration()}}) {
    EXPECT_EQ(Connect(options, store).status().code(), absl::StatusCode::kInvalidArgument);
  }
}

TEST(Connect, MissingPeerIsUnavailableAfterTheTimeOut) {
  const auto alone =
      Connect({.world_size = 2, .timeout = absl::Milliseconds(100)}, InProcessStore());
  EXPECT_EQ(alone.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(alone.status().message()), HasSubstr("rank 0 of 2"));
}

TEST(Connect, GenerationsDoNotMeet) {
  const RendezvousStore store = InProcessStore();
  std::vector<std::thread> threads;
  for (int rank = 0; rank < 2; ++rank) {
    threads.emplace_back([&, rank] {
      const auto communicator = Connect(
          {.rank = rank, .world_size = 2, .generation = rank, .timeout = absl::Milliseconds(100)},
          store);
      EXPECT_EQ(communicator.status().code(), absl::StatusCode::kUnavailable);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(Collectives, ThrowWhenARankIsLost) {
  RunRanks(2, [](Communicator& communicator) {
    if (communicator.rank() == 1) return;  // closes its channels
    Tensor values = torch::ones({4});
    try {
      communicator.AllReduceSum(values);
      FAIL() << "a sum over a lost rank succeeded";
    } catch (const c10::Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("all-reduce on rank 0 of 2"));
    }
  });
}

TEST(NcclModule, SaysWhatToDoWhenAbsent) {
  const auto module = LoadNcclModule({testing::TempDir() + "/no_such_module.so"});
  EXPECT_EQ(module.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(module.status().message()), HasSubstr("deploy/setup.sh --cuda"));
}

// Without the CUDA libraries the module does not load, without a GPU it makes no group; with both
// this single rank connects and its CPU tensors still go by Gloo.
TEST(NcclModule, ConnectsOrSaysWhatIsMissing) {
  const auto communicator = Connect({.backend = "nccl"}, InProcessStore());
  if (!communicator.ok()) {
    EXPECT_EQ(communicator.status().code(), absl::StatusCode::kFailedPrecondition)
        << communicator.status();
    EXPECT_THAT(std::string(communicator.status().message()),
                testing::AnyOf(HasSubstr("deploy/setup.sh --cuda"), HasSubstr("nvidia-smi")));
    return;
  }
  Tensor values = torch::ones({2});
  (*communicator)->AllReduceSum(values);
  EXPECT_EQ(values.sum().item<float>(), 2);
}

}  // namespace
}  // namespace reflux
