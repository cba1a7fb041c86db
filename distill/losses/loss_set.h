// All terms of a training loss, made exact over any number of ranks in this one place (design 6).
#pragma once

#include <torch/nn/module.h>
#include <torch/types.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "distill/losses/loss.h"
#include "distill/losses/loss_schedule.h"

namespace reflux {

// The collectives that a LossSet needs. Called in the same order on every rank.
class LossCollectives {
 public:
  virtual ~LossCollectives() = default;
  // Sum over ranks; backward sums the gradient over ranks.
  virtual torch::Tensor AllReduceSumDifferentiable(const torch::Tensor& local) = 0;
  // Sum over ranks in place, no gradient. `local` is float64 on the CPU.
  virtual void AllReduceSum(torch::Tensor& local) = 0;
  virtual int world_size() const = 0;
};

class SingleProcessCollectives : public LossCollectives {
 public:
  torch::Tensor AllReduceSumDifferentiable(const torch::Tensor& local) override { return local; }
  void AllReduceSum(torch::Tensor&) override {}
  int world_size() const override { return 1; }
};

struct LossTerm {
  std::string name;  // "ce", "kd", "i2ckd", "icsd"
  std::shared_ptr<Loss> loss;
  double weight = 1;
  LossSchedule schedule = LossSchedule::kConstant;
  LossKind kind = LossKind::kTask;
  // Which of LossInputs::teachers it reads; empty: LossInputs::teacher, or none.
  std::string teacher = {};
  double clip = 0;  // largest norm of the gradient of the loss's own parameters; 0: no limit
};

struct LossResult {
  // What backward starts from. With gradients averaged over the ranks, as the reducer does, they
  // are those of the loss of the whole global batch.
  torch::Tensor total;
  double total_value = 0;  // of the global batch
  // Of each term and, as "<term>.<part>", of its parts; global, before its weight.
  std::map<std::string, double> values;
  std::map<std::string, double> weights;  // weight times schedule at this step
  bool stop = false;                      // some rank asked to stop
};

// A module: the losses' own parameters are found under "<term>.<name>". Not thread-safe.
class LossSet : public torch::nn::Module {
 public:
  explicit LossSet(std::vector<LossTerm> terms);

  // Two collectives at most: one small one for all counts, the values of additive terms and the
  // stop flag, and a differentiable one for the sums of the terms that are not additive.
  LossResult Compute(const LossInputs& inputs, int64_t step, int64_t total_steps,
                     LossCollectives& collectives, bool stop_requested);

  // After backward and the averaging over the ranks, before the optimiser: scales the gradients of
  // each term's own parameters down to its `clip`.
  void ClipGradients();

  const std::vector<LossTerm>& terms() const { return terms_; }
  // The union of the terms' taps, sorted.
  std::vector<std::string> student_taps() const;
  std::vector<std::string> teacher_taps() const;
  // Of the terms that read this teacher.
  std::vector<std::string> teacher_taps(const std::string& teacher) const;
  bool reads_rotations() const;  // one of them does

 private:
  const std::vector<LossTerm> terms_;
};

}  // namespace reflux
