#include "distill/export/onnx_graph.h"

#include "absl/strings/str_cat.h"

namespace reflux {

using onnx::AttributeProto;

AttributeProto& OnnxGraph::Node::Attribute(const std::string& name,
                                           AttributeProto::AttributeType type) {
  AttributeProto& attribute = *node_.add_attribute();
  attribute.set_name(name);
  attribute.set_type(type);
  return attribute;
}

OnnxGraph::Node& OnnxGraph::Node::Int(const std::string& name, int64_t value) {
  Attribute(name, AttributeProto::INT).set_i(value);
  return *this;
}

OnnxGraph::Node& OnnxGraph::Node::Ints(const std::string& name,
                                       const std::vector<int64_t>& values) {
  AttributeProto& attribute = Attribute(name, AttributeProto::INTS);
  for (const int64_t value : values) attribute.add_ints(value);
  return *this;
}

OnnxGraph::Node& OnnxGraph::Node::Float(const std::string& name, double value) {
  Attribute(name, AttributeProto::FLOAT).set_f(static_cast<float>(value));
  return *this;
}

OnnxGraph::Node& OnnxGraph::Node::String(const std::string& name, const std::string& value) {
  Attribute(name, AttributeProto::STRING).set_s(value);
  return *this;
}

OnnxGraph::Node OnnxGraph::Add(const std::string& op, const std::vector<std::string>& inputs) {
  onnx::NodeProto& node = *graph_.add_node();
  node.set_op_type(op);
  for (const std::string& input : inputs) node.add_input(input);
  const std::string name = FreshName(op);
  node.set_name(name);
  node.add_output(name);
  return Node(node);
}

std::string OnnxGraph::Initializer(const std::string& name, const torch::Tensor& value) {
  const bool integer = value.scalar_type() == torch::kInt64;
  TORCH_CHECK(integer || value.scalar_type() == torch::kFloat32,
              "only float32 and int64 weights are exported, '", name, "' has ",
              torch::toString(value.scalar_type()));
  const torch::Tensor values = value.detach().contiguous();
  onnx::TensorProto& tensor = *graph_.add_initializer();
  for (const int64_t size : values.sizes()) tensor.add_dims(size);
  tensor.set_data_type(integer ? onnx::TensorProto::INT64 : onnx::TensorProto::FLOAT);
  tensor.set_name(name);
  tensor.set_raw_data(values.data_ptr(), values.nbytes());
  return name;
}

std::string OnnxGraph::Integers(const std::vector<int64_t>& values) {
  return Initializer(FreshName("integers"), torch::tensor(values, torch::kInt64));
}

std::string OnnxGraph::Integer(int64_t value) {
  return Initializer(FreshName("integer"), torch::tensor(value, torch::kInt64));
}

std::string OnnxGraph::Number(double value) {
  return Initializer(FreshName("number"), torch::tensor(value, torch::kFloat32));
}

std::string OnnxGraph::FreshName(const std::string& stem) {
  return absl::StrCat(stem, "_", names_++);
}

}  // namespace reflux
