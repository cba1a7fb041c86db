#include "distill/losses/loss_set.h"

#include <torch/nn/utils/clip_grad.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

namespace reflux {
namespace {

// [stop flag, then for each term its counts and, when additive, its value].
torch::Tensor PackCounts(const std::vector<LossTerm>& terms,
                         const std::vector<LossStatistics>& local, bool stop_requested) {
  std::vector<torch::Tensor> parts = {
      torch::full({1}, stop_requested ? 1.0 : 0.0, torch::kFloat64)};
  for (size_t i = 0; i < terms.size(); ++i) {
    parts.push_back(local[i].counts.to(torch::kCPU, torch::kFloat64));
    if (terms[i].loss->additive())
      parts.push_back(local[i].sums.detach().to(torch::kCPU, torch::kFloat64));
  }
  return torch::cat(parts);
}

// The sums of the terms that are not additive, end to end; undefined when there are none.
torch::Tensor PackSums(const std::vector<LossTerm>& terms,
                       const std::vector<LossStatistics>& local) {
  std::vector<torch::Tensor> parts;
  for (size_t i = 0; i < terms.size(); ++i) {
    if (!terms[i].loss->additive()) parts.push_back(local[i].sums);
  }
  return parts.empty() ? torch::Tensor() : torch::cat(parts);
}

// Takes `length` entries from the front of a packed vector.
class Unpacker {
 public:
  explicit Unpacker(torch::Tensor packed) : packed_(std::move(packed)) {}
  torch::Tensor Take(int64_t length) {
    at_ += length;
    return packed_.narrow(0, at_ - length, length);
  }

 private:
  torch::Tensor packed_;
  int64_t at_ = 0;
};

void ReportParts(const LossTerm& term, const LossStatistics& global, LossResult& result) {
  const torch::NoGradGuard no_grad;
  for (const auto& [part, figure] : term.loss->Parts(global)) {
    result.values[term.name + "." + part] = figure;
  }
}

std::vector<std::string> Union(const std::vector<LossTerm>& terms,
                               std::vector<std::string> (Loss::*taps)() const) {
  std::set<std::string> names;
  for (const LossTerm& term : terms) {
    for (const std::string& tap : (term.loss.get()->*taps)()) names.insert(tap);
  }
  return {names.begin(), names.end()};
}

// The inputs with the maps of the term's teacher.
LossInputs As(const LossTerm& term, const LossInputs& inputs) {
  const auto teacher = inputs.teachers.find(term.teacher);
  TORCH_CHECK(teacher != inputs.teachers.end(), term.name, ": no maps of the teacher '",
              term.teacher, "'");
  LossInputs own = inputs;
  own.teacher = teacher->second;
  return own;
}

}  // namespace

LossSet::LossSet(std::vector<LossTerm> terms) : terms_(std::move(terms)) {
  for (const LossTerm& term : terms_) register_module(term.name, term.loss);
}

LossResult LossSet::Compute(const LossInputs& inputs, int64_t step, int64_t total_steps,
                            LossCollectives& collectives, bool stop_requested) {
  std::vector<LossStatistics> local;
  const LossInputs compared = WithoutPadding(inputs);
  for (const LossTerm& term : terms_) {
    const LossInputs& seen = term.loss->teacher_taps().empty() ? inputs : compared;
    local.push_back(term.loss->Local(term.teacher.empty() ? seen : As(term, seen)));
  }

  torch::Tensor counts = PackCounts(terms_, local, stop_requested);
  collectives.AllReduceSum(counts);
  const torch::Tensor packed_sums = PackSums(terms_, local);
  const torch::Tensor sums =
      packed_sums.defined() ? collectives.AllReduceSumDifferentiable(packed_sums) : packed_sums;

  LossResult result;
  Unpacker global_counts(counts), global_sums(sums);
  result.stop = global_counts.Take(1).item<double>() > 0;
  for (size_t i = 0; i < terms_.size(); ++i) {
    const LossTerm& term = terms_[i];
    LossStatistics statistics{.sums = local[i].sums,
                              .counts = global_counts.Take(local[i].counts.numel())};
    torch::Tensor value;
    if (term.loss->additive()) {
      // This rank's part of the global mean, times the world size that averaging divides by.
      value = term.loss->Finish(statistics) * collectives.world_size();
      statistics.sums = global_counts.Take(1);
      result.values[term.name] = term.loss->Finish(statistics).item<double>();
    } else {
      statistics.sums = global_sums.Take(local[i].sums.numel());
      value = term.loss->Finish(statistics);
      result.values[term.name] = value.item<double>();
    }
    ReportParts(term, statistics, result);
    const double weight = term.weight * WeightFactor(term.schedule, term.kind, step, total_steps);
    result.weights[term.name] = weight;
    result.total_value += weight * result.values[term.name];
    result.total = result.total.defined() ? result.total + weight * value : weight * value;
  }
  return result;
}

void LossSet::ClipGradients() {
  for (const LossTerm& term : terms_) {
    if (term.clip > 0) torch::nn::utils::clip_grad_norm_(term.loss->parameters(), term.clip);
  }
}

std::vector<std::string> LossSet::student_taps() const {
  return Union(terms_, &Loss::student_taps);
}
bool LossSet::reads_rotations() const {
  return std::any_of(terms_.begin(), terms_.end(),
                     [](const LossTerm& term) { return term.loss->reads_rotations(); });
}
std::vector<std::string> LossSet::teacher_taps() const {
  return Union(terms_, &Loss::teacher_taps);
}
std::vector<std::string> LossSet::teacher_taps(const std::string& teacher) const {
  std::vector<LossTerm> own;
  std::copy_if(terms_.begin(), terms_.end(), std::back_inserter(own),
               [&](const LossTerm& term) { return term.teacher == teacher; });
  return Union(own, &Loss::teacher_taps);
}

}  // namespace reflux
