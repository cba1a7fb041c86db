// Runs threads as the ranks of a job.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "student_worker/collectives/c10d_communicator.h"

namespace reflux {

// LibTorch's flight recorder is one for the process and records without a lock: several process groups
// at once, which only these tests have, crash in it. It reads its size when the first group is made.
inline const bool kFlightRecorderIsOff = setenv("TORCH_FR_BUFFER_SIZE", "0", 1) == 0;

// Calls `body(communicator)` in one thread a rank, over Gloo; fails the test if one cannot connect.
inline void RunRanks(int world_size, const std::function<void(Communicator&)>& body) {
  const RendezvousStore store = InProcessStore();
  std::vector<std::thread> threads;
  for (int rank = 0; rank < world_size; ++rank) {
    threads.emplace_back([&, rank] {
      at::set_num_threads(1);
      ConnectOptions options;
      options.rank = rank;
      options.world_size = world_size;
      options.timeout = absl::Seconds(20);
      auto communicator = Connect(options, store);
      ASSERT_TRUE(communicator.ok()) << communicator.status();
      body(**communicator);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace reflux
