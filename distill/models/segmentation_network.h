// A network composed of a backbone, a head and perhaps an auxiliary head.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "distill/models/head.h"

namespace reflux {

// A fully convolutional head on an earlier stage that helps training.
struct AuxiliaryHead {
  ClassifierBlock block;
  int stage = 2;                              // index of the stage it reads
  std::string name;                           // child of the network
  std::shared_ptr<torch::nn::Module> module;  // what is registered under it
};

struct NetworkParts {
  std::string backbone_name;  // child of the network
  std::shared_ptr<Backbone> backbone;
  std::unique_ptr<Head> head;
  std::optional<AuxiliaryHead> auxiliary;
  bool align_corners = true;
};

// Taps: c1..c4 (stages of the backbone), those of the head, and aux when there is an auxiliary
// head.
class SegmentationNetwork : public SegmentationModel {
 public:
  // `options` are resolved and name the architecture that `parts` are of (BuildModel sees to it).
  SegmentationNetwork(const ModelOptions& options, NetworkParts parts);

  TapOutputs Forward(const torch::Tensor& images, const std::vector<std::string>& wanted) override;
  std::vector<TapInfo> taps() const override;
  int64_t num_classes() const override { return options_.num_classes; }
  std::string architecture() const override { return options_.architecture; }
  std::string configuration() const override;
  bool align_corners() const override { return parts_.align_corners; }

 private:
  void CheckTaps(const std::vector<std::string>& wanted) const;

  const ModelOptions options_;
  NetworkParts parts_;
};

}  // namespace reflux
