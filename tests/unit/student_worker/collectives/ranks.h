// Runs threads as the ranks of a job.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "student_worker/collectives/c10d_communicator.h"

namespace reflux {

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
