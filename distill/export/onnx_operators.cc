#include "distill/export/onnx_operators.h"

#include <torch/csrc/jit/ir/constants.h>

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace reflux {
namespace {

using torch::jit::Node;
using torch::jit::Value;

c10::IValue Constant(const Value* value) {
  const auto constant = torch::jit::toIValue(value);
  TORCH_CHECK(constant, "an argument of ", value->node()->kind().toQualString(),
              " is not constant in the trace");
  return *constant;
}

bool IsConstant(const Value* value) { return torch::jit::toIValue(value).has_value(); }
int64_t Int(const Value* value) { return Constant(value).toInt(); }
bool Bool(const Value* value) { return Constant(value).toBool(); }
double Float(const Value* value) { return Constant(value).toScalar().toDouble(); }

std::vector<int64_t> Ints(const Value* value) {
  if (IsConstant(value)) return Constant(value).toIntVector();
  TORCH_CHECK(value->node()->kind() == torch::jit::prim::ListConstruct,
              "a list of integers is not constant in the trace");
  std::vector<int64_t> ints;
  for (const Value* item : value->node()->inputs()) ints.push_back(Int(item));
  return ints;
}

// Of height and width. LibTorch takes a list of one for both.
std::vector<int64_t> Pair(const Value* value) {
  std::vector<int64_t> pair = Ints(value);
  if (pair.size() == 1) pair.push_back(pair[0]);
  TORCH_CHECK(pair.size() == 2, "only two-dimensional operators are exported");
  return pair;
}

// Begins and ends of both axes.
std::vector<int64_t> Pads(const Value* value) {
  const std::vector<int64_t> padding = Pair(value);
  return {padding[0], padding[1], padding[0], padding[1]};
}

const std::map<std::string, std::string>& PlainActivations() {
  static const auto* const names = new std::map<std::string, std::string>{
      {"aten::relu", "Relu"}, {"aten::sigmoid", "Sigmoid"}, {"aten::hardswish", "HardSwish"}};
  return *names;
}

}  // namespace

const std::map<std::string, OnnxTranslator::Translation>& OnnxTranslator::Translations() {
  static const auto* const table = new std::map<std::string, Translation>{
      {"aten::_convolution", &OnnxTranslator::Convolution},
      {"aten::conv2d", &OnnxTranslator::Convolution},
      {"aten::convolution", &OnnxTranslator::Convolution},
      {"aten::batch_norm", &OnnxTranslator::BatchNorm},
      {"aten::relu", &OnnxTranslator::Activation},
      {"aten::sigmoid", &OnnxTranslator::Activation},
      {"aten::hardswish", &OnnxTranslator::Activation},
      {"aten::dropout", &OnnxTranslator::Dropout},
      {"aten::feature_dropout", &OnnxTranslator::Dropout},
      {"aten::hardsigmoid", &OnnxTranslator::HardSigmoid},
      {"aten::silu", &OnnxTranslator::Silu},
      {"aten::hardtanh", &OnnxTranslator::Clip},
      {"aten::relu6", &OnnxTranslator::Relu6},
      {"aten::add", &OnnxTranslator::Add},
      {"aten::mul", &OnnxTranslator::Multiply},
      {"aten::cat", &OnnxTranslator::Concatenate},
      {"aten::max_pool2d", &OnnxTranslator::MaxPool},
      {"aten::adaptive_avg_pool2d", &OnnxTranslator::AdaptiveAveragePool},
      {"aten::upsample_bilinear2d", &OnnxTranslator::UpsampleBilinear},
      {"aten::upsample_nearest2d", &OnnxTranslator::UpsampleNearest},
      {"aten::constant_pad_nd", &OnnxTranslator::Pad},
      {"aten::expand", &OnnxTranslator::Expand},
      {"aten::mean", &OnnxTranslator::Mean},
      {"aten::addmm", &OnnxTranslator::AddProduct},
      {"aten::linear", &OnnxTranslator::Linear},
      {"aten::t", &OnnxTranslator::Transpose},
      {"aten::unsqueeze", &OnnxTranslator::Unsqueeze}};
  return *table;
}

std::string OnnxTranslator::Translate(const TracedNetwork& network, const std::string& input) {
  const Value* const image = network.first->inputs()[0];
  names_[image] = input;
  const auto first = TracedShape(image), second = TracedShape(network.second->inputs()[0]);
  maps_.push_back({{{first[2], first[3]}, {second[2], second[3]}}, input});
  for (const TracedNode& traced : network.nodes) {
    const auto kind = traced.first->kind();
    if (kind == torch::jit::prim::Constant || kind == torch::jit::prim::ListConstruct) continue;
    const auto found = Translations().find(kind.toQualString());
    TORCH_CHECK_NOT_IMPLEMENTED(found != Translations().end(), "the network runs ",
                                kind.toQualString(), ", which has no translation to ONNX here");
    (this->*found->second)(traced);
  }
  return Name(network.first->outputs()[0]);
}

std::string OnnxTranslator::Name(const Value* value) {
  const auto found = names_.find(value);
  if (found != names_.end()) return found->second;
  const c10::IValue constant = Constant(value);
  if (constant.isNone()) return "";
  const torch::Tensor tensor = constant.toTensor();
  const auto weight = weights_.find(tensor.data_ptr());
  const std::string name =
      weight == weights_.end() ? absl::StrCat("constant_", names_.size()) : weight->second;
  return names_[value] = graph_.Initializer(name, tensor);
}

void OnnxTranslator::Set(const TracedNode& traced, const std::string& name) {
  names_[traced.first->output()] = name;
  const auto first = TracedShape(traced.first->output());
  const auto second = TracedShape(traced.second->output());
  if (first.size() != 4 || second.size() != 4) return;
  maps_.push_back({{{first[2], first[3]}, {second[2], second[3]}}, name});
}

void OnnxTranslator::Convolution(const TracedNode& traced) {
  const Node& node = *traced.first;
  const bool plain = std::string(node.kind().toQualString()) == "aten::conv2d";
  TORCH_CHECK_NOT_IMPLEMENTED(plain || !Bool(node.input(6)),
                              "transposed convolutions have no translation to ONNX here");
  std::vector<std::string> inputs = {Name(node.input(0)), Name(node.input(1))};
  if (const std::string bias = Name(node.input(2)); !bias.empty()) inputs.push_back(bias);
  Set(traced, graph_.Add("Conv", inputs)
                  .Ints("strides", Pair(node.input(3)))
                  .Ints("pads", Pads(node.input(4)))
                  .Ints("dilations", Pair(node.input(5)))
                  .Int("group", Int(node.input(plain ? 6 : 8)))
                  .output());
}

void OnnxTranslator::BatchNorm(const TracedNode& traced) {
  const Node& node = *traced.first;
  TORCH_CHECK(!Bool(node.input(5)), "a batch norm is in training mode");
  std::vector<std::string> inputs;
  for (int i = 0; i < 5; ++i) inputs.push_back(Name(node.input(i)));
  Set(traced,
      graph_.Add("BatchNormalization", inputs).Float("epsilon", Float(node.input(7))).output());
}

void OnnxTranslator::Activation(const TracedNode& traced) {
  Set(traced, graph_.Output(PlainActivations().at(traced.first->kind().toQualString()),
                            {Name(traced.first->input(0))}));
}

void OnnxTranslator::Silu(const TracedNode& traced) {
  const std::string x = Name(traced.first->input(0));
  Set(traced, graph_.Output("Mul", {x, graph_.Output("Sigmoid", {x})}));
}

void OnnxTranslator::Dropout(const TracedNode& traced) {
  TORCH_CHECK_NOT_IMPLEMENTED(!Bool(traced.first->input(2)),
                              "the network drops values in evaluation too: a random forward has no "
                              "translation to ONNX here");
  Set(traced, Name(traced.first->input(0)));
}

void OnnxTranslator::HardSigmoid(const TracedNode& traced) {
  Set(traced, graph_.Add("HardSigmoid", {Name(traced.first->input(0))})
                  .Float("alpha", 1.0 / 6)
                  .Float("beta", 0.5)
                  .output());
}

void OnnxTranslator::Clip(const TracedNode& traced) {
  const Node& node = *traced.first;
  Set(traced, graph_.Output("Clip", {Name(node.input(0)), graph_.Number(Float(node.input(1))),
                                     graph_.Number(Float(node.input(2)))}));
}

void OnnxTranslator::Relu6(const TracedNode& traced) {
  Set(traced,
      graph_.Output("Clip", {Name(traced.first->input(0)), graph_.Number(0), graph_.Number(6)}));
}

void OnnxTranslator::Add(const TracedNode& traced) {
  const Node& node = *traced.first;
  TORCH_CHECK_NOT_IMPLEMENTED(Float(node.input(2)) == 1,
                              "a weighted sum has no translation to ONNX here");
  Set(traced, graph_.Output("Add", {Name(node.input(0)), Name(node.input(1))}));
}

void OnnxTranslator::Multiply(const TracedNode& traced) {
  Set(traced, graph_.Output("Mul", {Name(traced.first->input(0)), Name(traced.first->input(1))}));
}

void OnnxTranslator::Concatenate(const TracedNode& traced) {
  std::vector<std::string> inputs;
  for (const Value* item : traced.first->input(0)->node()->inputs()) inputs.push_back(Name(item));
  Set(traced, graph_.Add("Concat", inputs).Int("axis", Int(traced.first->input(1))).output());
}

void OnnxTranslator::MaxPool(const TracedNode& traced) {
  const Node& node = *traced.first;
  const std::vector<int64_t> kernel = Pair(node.input(1));
  const bool own_strides = !Ints(node.input(2)).empty();
  Set(traced, graph_.Add("MaxPool", {Name(node.input(0))})
                  .Ints("kernel_shape", kernel)
                  .Ints("strides", own_strides ? Pair(node.input(2)) : kernel)
                  .Ints("pads", Pads(node.input(3)))
                  .Ints("dilations", Pair(node.input(4)))
                  .Int("ceil_mode", Bool(node.input(5)))
                  .output());
}

// LibTorch counts from the last axis: left, right, top, bottom.
void OnnxTranslator::Pad(const TracedNode& traced) {
  const Node& node = *traced.first;
  const std::vector<int64_t> pad = Ints(node.input(1));
  TORCH_CHECK_NOT_IMPLEMENTED(pad.size() == 4 && pad == Ints(traced.second->input(1)),
                              "only constant padding of height and width has a translation");
  const std::string pads = graph_.Integers({0, 0, pad[2], pad[0], 0, 0, pad[3], pad[1]});
  Set(traced,
      graph_.Output("Pad", {Name(node.input(0)), pads, graph_.Number(Float(node.input(2)))}));
}

// Bin b of n covers the positions from floor(b size / n) to ceil((b + 1) size / n).
std::string OnnxTranslator::PoolingMatrix(const std::string& map, int64_t axis, int64_t bins) {
  const std::string shape = graph_.Output("Shape", {map});
  const std::string size = graph_.Output("Gather", {shape, graph_.Integer(axis)});
  const std::string count = graph_.Integer(bins), zero = graph_.Integer(0), one = graph_.Integer(1);
  const std::string positions = graph_.Output("Range", {zero, size, one});
  std::vector<int64_t> indices(bins);
  for (int64_t i = 0; i < bins; ++i) indices[i] = i;
  const std::string column =
      graph_.Output("Unsqueeze", {graph_.Integers(indices), graph_.Integers({1})});  // [bins, 1]
  const std::string scaled = graph_.Output("Mul", {column, size});
  const std::string begin = graph_.Output("Div", {scaled, count});
  const std::string past =
      graph_.Output("Add", {graph_.Output("Add", {scaled, size}), graph_.Integer(bins - 1)});
  const std::string end = graph_.Output("Div", {past, count});
  const std::string inside =
      graph_.Output("And", {graph_.Output("GreaterOrEqual", {positions, begin}),
                            graph_.Output("Less", {positions, end})});
  const std::string mask =
      graph_.Add("Cast", {inside}).Int("to", onnx::TensorProto::FLOAT).output();
  const std::string width = graph_.Add("Cast", {graph_.Output("Sub", {end, begin})})
                                .Int("to", onnx::TensorProto::FLOAT)
                                .output();
  return graph_.Output("Div", {mask, width});
}

void OnnxTranslator::AdaptiveAveragePool(const TracedNode& traced) {
  const std::string map = Name(traced.first->input(0));
  const std::vector<int64_t> bins = Pair(traced.first->input(1));
  TORCH_CHECK_NOT_IMPLEMENTED(bins == Pair(traced.second->input(1)),
                              "pooling to bins that depend on the image's size has no translation");
  if (bins == std::vector<int64_t>{1, 1}) {
    Set(traced, graph_.Output("GlobalAveragePool", {map}));
    return;
  }
  const std::string rows = graph_.Output("MatMul", {PoolingMatrix(map, 2, bins[0]), map});
  const std::string columns =
      graph_.Add("Transpose", {PoolingMatrix(map, 3, bins[1])}).Ints("perm", {1, 0}).output();
  Set(traced, graph_.Output("MatMul", {rows, columns}));
}

std::string OnnxTranslator::HeightAndWidth(const MapSizes& sizes) {
  if (sizes.first == sizes.second) return graph_.Integers({sizes.first[0], sizes.first[1]});
  const auto found =
      std::find_if(maps_.begin(), maps_.end(), [&](const Map& map) { return map.sizes == sizes; });
  TORCH_CHECK_NOT_IMPLEMENTED(found != maps_.end(), "a map is resized to ", sizes.first[0], "x",
                              sizes.first[1],
                              ", which depends on the image's size and which no map has");
  return graph_.Output(
      "Slice", {graph_.Output("Shape", {found->name}), graph_.Integers({2}), graph_.Integers({4})});
}

// The sizes of the output, as Resize takes them: those of the input but for height and width.
std::string OnnxTranslator::ResizedSizes(const TracedNode& traced, const std::string& map) {
  const auto first = TracedShape(traced.first->output());
  const auto second = TracedShape(traced.second->output());
  const std::string size = HeightAndWidth({{first[2], first[3]}, {second[2], second[3]}});
  const std::string kept = graph_.Output(
      "Slice", {graph_.Output("Shape", {map}), graph_.Integers({0}), graph_.Integers({2})});
  return graph_.Add("Concat", {kept, size}).Int("axis", 0).output();
}

void OnnxTranslator::UpsampleBilinear(const TracedNode& traced) {
  const std::string map = Name(traced.first->input(0));
  Set(traced, graph_.Add("Resize", {map, "", "", ResizedSizes(traced, map)})
                  .String("mode", "linear")
                  .String("coordinate_transformation_mode",
                          Bool(traced.first->input(2)) ? "align_corners" : "pytorch_half_pixel")
                  .output());
}

// LibTorch takes the pixel at floor(i * in / out).
void OnnxTranslator::UpsampleNearest(const TracedNode& traced) {
  const std::string map = Name(traced.first->input(0));
  Set(traced, graph_.Add("Resize", {map, "", "", ResizedSizes(traced, map)})
                  .String("mode", "nearest")
                  .String("coordinate_transformation_mode", "asymmetric")
                  .String("nearest_mode", "floor")
                  .output());
}

void OnnxTranslator::Mean(const TracedNode& traced) {
  const Node& node = *traced.first;
  Set(traced, graph_.Add("ReduceMean", {Name(node.input(0))})
                  .Ints("axes", Ints(node.input(1)))
                  .Int("keepdims", Bool(node.input(2)))
                  .output());
}

void OnnxTranslator::Linear(const TracedNode& traced) {
  const Node& node = *traced.first;
  std::vector<std::string> inputs = {Name(node.input(0)), Name(node.input(1))};
  if (const std::string bias = Name(node.input(2)); !bias.empty()) inputs.push_back(bias);
  Set(traced, graph_.Add("Gemm", inputs).Int("transB", 1).output());
}

// What a linear layer becomes in a trace: bias + x w^T, w^T made by aten::t.
void OnnxTranslator::AddProduct(const TracedNode& traced) {
  const Node& node = *traced.first;
  TORCH_CHECK_NOT_IMPLEMENTED(Float(node.input(3)) == 1 && Float(node.input(4)) == 1,
                              "a weighted sum of matrices has no translation");
  Set(traced,
      graph_.Output("Gemm", {Name(node.input(1)), Name(node.input(2)), Name(node.input(0))}));
}

void OnnxTranslator::Transpose(const TracedNode& traced) {
  Set(traced,
      graph_.Add("Transpose", {Name(traced.first->input(0))}).Ints("perm", {1, 0}).output());
}

void OnnxTranslator::Unsqueeze(const TracedNode& traced) {
  const Node& node = *traced.first;
  const std::string axis = graph_.Integers({Int(node.input(1))});
  Set(traced, graph_.Output("Unsqueeze", {Name(node.input(0)), axis}));
}

// ONNX broadcasts: a size of 1 keeps the map's.
void OnnxTranslator::Expand(const TracedNode& traced) {
  const Node& node = *traced.first;
  const auto from = TracedShape(node.input(0));
  const auto first = TracedShape(node.output()), second = TracedShape(traced.second->output());
  TORCH_CHECK_NOT_IMPLEMENTED(
      from.size() == 4 && first.size() == 4 && from[0] == first[0] && from[1] == first[1],
      "only maps that are expanded in height and width have a translation");
  const std::string size = HeightAndWidth({{first[2], first[3]}, {second[2], second[3]}});
  const std::string shape =
      graph_.Add("Concat", {graph_.Integers({1, 1}), size}).Int("axis", 0).output();
  Set(traced, graph_.Output("Expand", {Name(node.input(0)), shape}));
}

}  // namespace reflux
