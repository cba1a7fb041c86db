#include "distill/losses/loss.h"

namespace reflux {

const torch::Tensor& RequireMap(const std::map<std::string, torch::Tensor>& maps,
                                const std::string& tap, const std::string& side) {
  const auto found = maps.find(tap);
  TORCH_CHECK_VALUE(found != maps.end() && found->second.defined(), "a loss needs the map '", tap,
                    "' of the ", side, ", which gave none: ask for a tap that the network has");
  return found->second;
}

}  // namespace reflux
