// What models and losses need of the other ranks, over a Communicator that must outlive them and
// the graphs built through them.
#pragma once

#include <utility>

#include "distill/losses/loss_set.h"
#include "distill/models/batch_norm.h"
#include "student_worker/collectives/communicator.h"

namespace reflux {

class CommunicatorBatchNormSync : public BatchNormSync {
 public:
  explicit CommunicatorBatchNormSync(Communicator& communicator) : communicator_(communicator) {}

  torch::Tensor AllReduceSum(torch::Tensor local) override {
    communicator_.AllReduceSum(local);
    return local;
  }
  int world_size() const override { return communicator_.world_size(); }

 private:
  Communicator& communicator_;
};

class CommunicatorLossCollectives : public LossCollectives {
 public:
  explicit CommunicatorLossCollectives(Communicator& communicator) : communicator_(communicator) {}

  torch::Tensor AllReduceSumDifferentiable(const torch::Tensor& local) override {
    return communicator_.AllReduceSumDifferentiable(local);
  }
  void AllReduceSum(torch::Tensor& local) override { communicator_.AllReduceSum(local); }
  int world_size() const override { return communicator_.world_size(); }

 private:
  Communicator& communicator_;
};

}  // namespace reflux
