#include "distill/export/onnx_export.h"

#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/build_version.h"
#include "common/base/file.h"
#include "distill/checkpoint/checkpoint_info.h"
#include "distill/export/onnx_operators.h"

namespace reflux {
namespace {

constexpr int64_t kIrVersion = 8;  // the format's own version that goes with opset 17

// A batch of images, maps or, with one free size, vectors.
void Describe(onnx::ValueInfoProto& value, const std::string& name,
              const std::vector<std::string>& free_sizes, int64_t channels) {
  value.set_name(name);
  auto& tensor = *value.mutable_type()->mutable_tensor_type();
  tensor.set_elem_type(onnx::TensorProto::FLOAT);
  auto& shape = *tensor.mutable_shape();
  shape.add_dim()->set_dim_param(free_sizes[0]);
  shape.add_dim()->set_dim_value(channels);
  for (size_t i = 1; i < free_sizes.size(); ++i) shape.add_dim()->set_dim_param(free_sizes[i]);
}

bool IsClassifier(const SegmentationModel& model) {
  for (const TapInfo& tap : model.taps()) {
    if (tap.name == "logits") return tap.stride == 0;
  }
  return false;
}

void AddMetadata(const CheckpointInfo& info, onnx::ModelProto& onnx) {
  for (const auto& [key, value] : EncodeCheckpointInfo(info)) {
    if (key == "format") continue;  // of our own files
    auto& entry = *onnx.add_metadata_props();
    entry.set_key(key);
    entry.set_value(value);
  }
}

onnx::ModelProto Translate(const ModelCheckpoint& checkpoint) {
  onnx::ModelProto model;
  model.set_ir_version(kIrVersion);
  model.set_producer_name("reflux");
  model.set_producer_version(std::string(BuildVersion()));
  model.add_opset_import()->set_version(kOnnxOpset);
  AddMetadata(checkpoint.info, model);
  auto& graph = *model.mutable_graph();
  graph.set_name(checkpoint.model->architecture());
  Describe(*graph.add_input(), "image", {"batch", "height", "width"}, 3);
  const bool classifier = IsClassifier(*checkpoint.model);
  Describe(*graph.add_output(), "logits",
           classifier ? std::vector<std::string>{"batch"}
                      : std::vector<std::string>{"batch", "rows", "columns"},
           checkpoint.model->num_classes());

  const TracedNetwork network = TraceNetwork(*checkpoint.model);
  std::map<const void*, std::string> weights;
  for (const auto& item : checkpoint.model->named_parameters()) {
    weights[item.value().data_ptr()] = item.key();
  }
  for (const auto& item : checkpoint.model->named_buffers()) {
    weights[item.value().data_ptr()] = item.key();
  }
  OnnxGraph builder(graph);
  const std::string logits =
      OnnxTranslator(builder, std::move(weights)).Translate(network, "image");
  auto& last = *graph.add_node();
  last.set_op_type(classifier ? "Flatten" : "Identity");
  last.set_name("logits");
  last.add_input(logits);
  last.add_output("logits");
  return model;
}

}  // namespace

absl::Status ExportOnnx(const std::string& path, const ModelCheckpoint& checkpoint) {
  constexpr size_t kMaxBytes = INT32_MAX;  // of a protocol buffer
  onnx::ModelProto model;
  try {
    model = Translate(checkpoint);
  } catch (const c10::Error& error) {  // of the tracer and of what has no translation
    return absl::UnimplementedError(
        absl::StrCat("cannot export to ONNX: ", error.what_without_backtrace()));
  }
  if (model.ByteSizeLong() > kMaxBytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat("cannot export ", path, ": more than 2 GiB, the limit of an ONNX file"));
  }
  return WriteFileAtomically(path, model.SerializeAsString());
}

}  // namespace reflux
