#include "distill/models/bifpn.h"

#include <torch/nn/functional.h>
#include <torch/nn/modules/activation.h>

#include "absl/strings/str_cat.h"
#include "distill/models/layers.h"
#include "distill/tensors/resize.h"

namespace reflux {
namespace {

namespace F = torch::nn::functional;
using torch::Tensor;

// "conv.<i>": with `depth` 0 a 1x1 convolution, norm and ReLU; else `depth` times a 3x3 convolution
// of each channel, a 1x1 convolution and a norm, with a ReLU between them and none at the end.
class BlockImpl : public torch::nn::Module {
 public:
  BlockImpl(int64_t in, int64_t out, int64_t depth, const BifpnOptions& o)
      : conv_(register_module("conv", torch::nn::ModuleList())) {
    const auto norm = [&] { return BatchNorm2d(out, o.norm_epsilon, o.norm_momentum); };
    if (depth == 0) {
      Append(torch::nn::Sequential(Convolution({.in = in, .out = out}), norm(), torch::nn::ReLU()));
    }
    for (int64_t i = 0; i < depth; ++i) {
      torch::nn::Sequential step;
      if (i > 0) step->push_back(torch::nn::ReLU());
      const int64_t from = i == 0 ? in : out;
      step->push_back(Convolution({.in = from, .out = from, .kernel = 3, .groups = from}));
      step->push_back(Convolution({.in = from, .out = out}));
      final_norm_ = norm();
      step->push_back(final_norm_);
      Append(step);
    }
  }
  // What a block with a depth ends with.
  BatchNorm2d final_norm() const { return final_norm_; }
  Tensor forward(Tensor map) {
    for (torch::nn::Sequential& step : steps_) map = step->forward(map);
    return map;
  }

 private:
  void Append(const torch::nn::Sequential& step) {
    conv_->push_back(step);
    steps_.push_back(step);
  }

  torch::nn::ModuleList conv_;
  std::vector<torch::nn::Sequential> steps_;
  BatchNorm2d final_norm_{nullptr};
};
TORCH_MODULE(Block);

// 3x3, stride 2, `same`: of an odd number of zeros to add, one more goes below and to the right.
Tensor HalveByMaxPool(const Tensor& map) {
  const auto zeros = [](int64_t size) { return ((size + 1) / 2 - 1) * 2 - size + 3; };
  const int64_t rows = zeros(map.size(2)), columns = zeros(map.size(3));
  const Tensor padded = F::pad(
      map, F::PadFuncOptions({columns / 2, columns - columns / 2, rows / 2, rows - rows / 2}));
  return torch::max_pool2d(padded, /*kernel_size=*/3, /*stride=*/2);
}

// The blocks of a list, registered as "<name>.<i>".
class BlockList {
 public:
  BlockList(torch::nn::Module& owner, const char* name)
      : list_(owner.register_module(name, torch::nn::ModuleList())) {}
  void Add(Block block) {
    list_->push_back(block);
    blocks_.push_back(std::move(block));
  }
  // As the second of a pair whose first, a resize, has no parameters: "<name>.<i>.1".
  void AddAfterResize(Block block) {
    list_->push_back(torch::nn::Sequential(torch::nn::Identity(), block));
    blocks_.push_back(std::move(block));
  }
  Tensor Run(size_t i, const Tensor& map) { return blocks_[i]->forward(map); }
  bool empty() const { return blocks_.empty(); }
  BatchNorm2d FinalNorm(size_t i) const { return blocks_[i]->final_norm(); }

 private:
  torch::nn::ModuleList list_;
  std::vector<Block> blocks_;
};

// One pass up and down. Blocks and weights of the up path stand at their level, those of the down
// path and of `lateral2` one below it.
class BifpnLayer : public torch::nn::Module {
 public:
  // `in` are the channels of its inputs; the first layer has a lateral block for each.
  BifpnLayer(const std::vector<int64_t>& in, bool first, const BifpnOptions& options);
  std::vector<Tensor> forward(const std::vector<Tensor>& inputs, bool before_relu);
  std::vector<BatchNorm2d> final_norms() const;

 private:
  void AddLevel(size_t level, const std::vector<int64_t>& in, bool first);
  std::vector<Tensor> Up(const std::vector<Tensor>& maps);
  Tensor Fuse(const Tensor& weights, const std::vector<Tensor>& maps) const;
  static Tensor RunIfAny(BlockList& blocks, size_t i, const Tensor& map) {
    return blocks.empty() ? map : blocks.Run(i, map);
  }

  const BifpnOptions options_;
  BlockList lateral_{*this, "lat_conv"}, lateral2_{*this, "lat_conv2"};
  BlockList up_{*this, "up_conv"}, down_{*this, "down_conv"};
  BlockList after_up_{*this, "up_sample"}, after_down_{*this, "down_sample"};
  torch::nn::ParameterList up_weights_{register_module("up_weight", torch::nn::ParameterList())};
  torch::nn::ParameterList down_weights_{
      register_module("down_weight", torch::nn::ParameterList())};
};

BifpnLayer::BifpnLayer(const std::vector<int64_t>& in, bool first, const BifpnOptions& options)
    : options_(options) {
  for (size_t i = 0; i < in.size(); ++i) AddLevel(i, in, first);
}

void BifpnLayer::AddLevel(size_t level, const std::vector<int64_t>& in, bool first) {
  const BifpnOptions& o = options_;
  const std::vector<int64_t> out = o.widths();
  const bool resize_blocks = o.width > 0;
  if (first) lateral_.Add(Block(in[level], out[level], 0, o));
  if (level > 0) {
    lateral2_.Add(Block(in[level], out[level], 0, o));
    down_.Add(Block(out[level], out[level], o.down_depth, o));
    down_weights_->append(torch::ones({level + 1 < in.size() ? 3 : 2}, torch::requires_grad()));
    if (resize_blocks) after_down_.AddAfterResize(Block(out[level - 1], out[level], 0, o));
  }
  if (level + 1 < in.size()) {
    up_.Add(Block(out[level], out[level], o.up_depth, o));
    up_weights_->append(torch::ones({2}, torch::requires_grad()));
    if (resize_blocks) after_up_.AddAfterResize(Block(out[level + 1], out[level], 0, o));
  }
}

Tensor BifpnLayer::Fuse(const Tensor& weights, const std::vector<Tensor>& maps) const {
  const Tensor positive = torch::relu(weights);
  const Tensor shares = positive / (positive.sum() + options_.fusion_epsilon);
  Tensor sum = shares[0] * maps[0];
  for (size_t i = 1; i < maps.size(); ++i) sum = sum + shares[static_cast<int64_t>(i)] * maps[i];
  return sum;
}

std::vector<BatchNorm2d> BifpnLayer::final_norms() const {
  std::vector<BatchNorm2d> norms = {up_.FinalNorm(0)};
  for (size_t i = 0; i < down_weights_->size(); ++i) norms.push_back(down_.FinalNorm(i));
  return norms;
}

// Maps after their ReLU to fused maps before it.
std::vector<Tensor> BifpnLayer::Up(const std::vector<Tensor>& maps) {
  std::vector<Tensor> fused = maps;
  for (size_t i = maps.size() - 1; i-- > 0;) {
    const Tensor coarser =
        ResizeNearest(torch::relu(fused[i + 1]), maps[i].size(2), maps[i].size(3));
    fused[i] = up_.Run(i, Fuse(up_weights_[i], {maps[i], RunIfAny(after_up_, i, coarser)}));
  }
  return fused;
}

std::vector<Tensor> BifpnLayer::forward(const std::vector<Tensor>& inputs, bool before_relu) {
  std::vector<Tensor> positive, maps;
  for (const Tensor& input : inputs) positive.push_back(torch::relu(input));
  for (size_t i = 0; i < inputs.size(); ++i) {
    maps.push_back(torch::relu(RunIfAny(lateral_, i, positive[i])));
  }
  const std::vector<Tensor> up = Up(maps);
  std::vector<Tensor> out = {up[0]};
  for (size_t i = 1; i < inputs.size(); ++i) {
    std::vector<Tensor> parts = {torch::relu(lateral2_.Run(i - 1, positive[i]))};
    if (i + 1 < inputs.size()) parts.push_back(torch::relu(up[i]));
    parts.push_back(RunIfAny(after_down_, i - 1, HalveByMaxPool(torch::relu(out.back()))));
    out.push_back(down_.Run(i - 1, Fuse(down_weights_[i - 1], parts)));
  }
  if (before_relu) return out;
  for (Tensor& map : out) map = torch::relu(map);
  return out;
}

}  // namespace

absl::Status BifpnOptions::Validate() const {
  const auto bad = [](absl::string_view what) {
    return absl::InvalidArgumentError(absl::StrCat("bifpn: ", what));
  };
  if (channels.size() < 2) return bad("channels: needs at least two maps");
  for (const int64_t map : channels) {
    if (map < 1) return bad(absl::StrCat("channels: ", map, " is below 1"));
  }
  if (num_classes < 2) return bad(absl::StrCat("num_classes: ", num_classes, " is below 2"));
  if ((num_channels >= 1) == (width >= 1)) return bad("give num_channels or width, one of them");
  if (repeat < 1 || up_depth < 1 || down_depth < 1) return bad("repeat and depths start at 1");
  return absl::OkStatus();
}

std::vector<int64_t> BifpnOptions::widths() const {
  std::vector<int64_t> widths;
  for (const int64_t map : channels) widths.push_back(width > 0 ? map * width : num_channels);
  return widths;
}

BifpnImpl::BifpnImpl(const BifpnOptions& options) {
  layers_ = register_module("layers", torch::nn::ModuleList());
  for (int64_t i = 0; i < options.repeat; ++i) {
    const bool first = i == 0;
    layers_->push_back(
        std::make_shared<BifpnLayer>(first ? options.channels : options.widths(), first, options));
  }
  classifier_ = register_module(options.width > 0 ? "fc" : "linear",
                                torch::nn::Linear(options.widths().back(), options.num_classes));
}

std::vector<BatchNorm2d> BifpnImpl::final_norms() const {
  return layers_->at<BifpnLayer>(layers_->size() - 1).final_norms();
}

BifpnOutputs BifpnImpl::forward(const std::vector<Tensor>& maps, bool before_relu) {
  BifpnOutputs outputs{.maps = maps, .logits = {}};
  for (size_t i = 0; i < layers_->size(); ++i) {
    outputs.maps =
        layers_->at<BifpnLayer>(i).forward(outputs.maps, before_relu && i + 1 == layers_->size());
  }
  outputs.logits = classifier_->forward(torch::relu(outputs.maps.back()).mean({2, 3}));
  return outputs;
}

}  // namespace reflux
