// Ranks as threads of one process, for tests of code that calls collectives.
#pragma once

#include <torch/types.h>

#include <exception>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "common/base/mutex.h"
#include "distill/models/batch_norm.h"

namespace reflux {

// Sums in rank order, so that every rank gets the same bits. Give each thread its own ForRank.
class ThreadRanks {
 public:
  explicit ThreadRanks(int world_size) : parts_(world_size) {}

  // Runs `body(rank, sync)` in a thread for each rank and rethrows the first error.
  void Run(const std::function<void(int, std::shared_ptr<BatchNormSync>)>& body) {
    std::vector<std::thread> threads;
    std::vector<std::exception_ptr> errors(parts_.size());
    for (int rank = 0; rank < static_cast<int>(parts_.size()); ++rank) {
      threads.emplace_back([&, rank] {
        try {
          body(rank, std::make_shared<ForRank>(*this, rank));
        } catch (...) {
          errors[rank] = std::current_exception();
        }
      });
    }
    for (auto& thread : threads) thread.join();
    for (const auto& error : errors) {
      if (error) std::rethrow_exception(error);
    }
  }

 private:
  class ForRank : public BatchNormSync {
   public:
    ForRank(ThreadRanks& ranks, int rank) : ranks_(ranks), rank_(rank) {}
    torch::Tensor AllReduceSum(torch::Tensor local) override {
      return ranks_.AllReduceSum(rank_, local);
    }
    int world_size() const override { return static_cast<int>(ranks_.parts_.size()); }

   private:
    ThreadRanks& ranks_;
    int rank_;
  };

  torch::Tensor AllReduceSum(int rank, const torch::Tensor& local) {
    MutexLock lock(mutex_);
    const int64_t round = round_;
    parts_[rank] = local.clone();
    if (++arrived_ == parts_.size()) {
      sum_ = torch::stack(parts_).sum(0);
      arrived_ = 0, ++round_;
      changed_.NotifyAll();
    }
    while (round_ == round) changed_.Wait(mutex_);
    return sum_.clone();
  }

  Mutex mutex_;
  CondVar changed_;
  std::vector<torch::Tensor> parts_;
  torch::Tensor sum_;
  size_t arrived_ = 0;
  int64_t round_ = 0;
};

}  // namespace reflux
