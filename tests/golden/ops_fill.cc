#include "distill/tensors/deterministic_fill.h"
#include "tests/golden/ops.h"

namespace reflux::golden {
namespace {

torch::Tensor FillOf(const GoldenCase& golden) {
  const FillRule rule =
      golden.Param<std::string>("rule") == "input" ? FillRule::kInput : FillRule::kByName;
  return DeterministicFill(golden.salt, golden.Param<std::string>("name"),
                           golden.Param<std::vector<int64_t>>("shape"), rule);
}

GoldenOutcome Fill(const GoldenCase& golden) {
  // "As many as are stored": the count is the reference's.
  const int64_t count = golden.Stored(golden.expect.at("first").at("tensor")).numel();
  GoldenOutcome outcome;
  outcome.outputs["first"] = FillOf(golden).reshape(-1).slice(0, 0, count);
  return outcome;
}

GoldenOutcome FillSum(const GoldenCase& golden) {
  GoldenOutcome outcome;
  outcome.outputs["sum"] = FillOf(golden).to(torch::kFloat64).sum();
  return outcome;
}

}  // namespace

void AddFillOps(GoldenOps& ops) {
  ops["fill"] = {Fill};
  ops["fill_sum"] = {FillSum};
}

}  // namespace reflux::golden
