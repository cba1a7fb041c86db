#include "distill/losses/loss.h"

namespace reflux {

const torch::Tensor& RequireMap(const std::map<std::string, torch::Tensor>& maps,
                                const std::string& tap, const std::string& side) {
  const auto found = maps.find(tap);
  TORCH_CHECK_VALUE(found != maps.end() && found->second.defined(), "a loss needs the map '", tap,
                    "' of the ", side, ", which gave none: ask for a tap that the network has");
  return found->second;
}

int64_t GlobalBatch(const LossInputs& inputs, int64_t share) {
  if (inputs.global_batch > 0) return inputs.global_batch;
  return static_cast<int64_t>(inputs.first_position) + share;
}

torch::Tensor UnitVectors(const torch::Tensor& map, int64_t dim) {
  namespace F = torch::nn::functional;
  return F::normalize(map, F::NormalizeFuncOptions().p(2).dim(dim).eps(1e-12));
}

}  // namespace reflux
