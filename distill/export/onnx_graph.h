// Builds an ONNX graph node by node. Internal to distill/export. Not thread-safe.
#pragma once

#include <torch/types.h>

#include <string>
#include <vector>

#include "onnx/onnx.pb.h"

namespace reflux {

class OnnxGraph {
 public:
  explicit OnnxGraph(onnx::GraphProto& graph) : graph_(graph) {}

  // A node under construction; valid until the next Add.
  class Node {
   public:
    explicit Node(onnx::NodeProto& node) : node_(node) {}
    Node& Int(const std::string& name, int64_t value);
    Node& Ints(const std::string& name, const std::vector<int64_t>& values);
    Node& Float(const std::string& name, double value);
    Node& String(const std::string& name, const std::string& value);
    const std::string& output() const { return node_.output(0); }

   private:
    onnx::AttributeProto& Attribute(const std::string& name, onnx::AttributeProto::AttributeType);
    onnx::NodeProto& node_;
  };
  // An empty input is an optional one that is left out.
  Node Add(const std::string& op, const std::vector<std::string>& inputs);
  // Its output, for a node without attributes.
  std::string Output(const std::string& op, const std::vector<std::string>& inputs) {
    return Add(op, inputs).output();
  }

  // A float32 or int64 tensor. Throws c10::Error for another type.
  std::string Initializer(const std::string& name, const torch::Tensor& value);
  std::string Integers(const std::vector<int64_t>& values);  // [n]
  std::string Integer(int64_t value);                        // []
  std::string Number(double value);                          // [] float32

 private:
  std::string FreshName(const std::string& stem);

  onnx::GraphProto& graph_;
  int64_t names_ = 0;
};

}  // namespace reflux
