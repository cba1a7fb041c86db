#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>

#include "absl/strings/str_cat.h"
#include "distill/tensors/deterministic_fill.h"
#include "job_plan/device_plan.h"
#include "tests/golden/ops.h"

namespace reflux::golden {
namespace {

torch::Tensor AsType(const torch::Tensor& tensor, torch::Dtype dtype) {
  return tensor.is_floating_point() ? tensor.to(dtype) : tensor;
}

torch::Tensor Filled(const std::string& salt, const json& source) {
  const FillRule rule =
      source.value("rule", "name") == "input" ? FillRule::kInput : FillRule::kByName;
  torch::Tensor tensor = DeterministicFill(salt, source.at("fill").get<std::string>(),
                                           source.at("shape").get<std::vector<int64_t>>(), rule);
  if (source.contains("scale")) tensor = tensor * source["scale"].get<double>();
  if (source.contains("offset")) tensor = tensor + source["offset"].get<double>();
  return tensor;
}

void ReadFile(const std::filesystem::path& path, std::vector<GoldenCase>& cases) {
  const auto file =
      std::make_shared<const SafetensorsFile>(OrThrow(SafetensorsFile::Open(path.string())));
  const StringMap& metadata = file->metadata();
  if (metadata.count("format") == 0 || metadata.at("format") != "golden-1") {
    throw std::runtime_error(absl::StrCat(path.string(), ": metadata 'format' is not golden-1"));
  }
  const json tolerance = json::parse(metadata.at("tolerance"));
  for (const json& item : json::parse(metadata.at("cases"))) {
    GoldenCase golden{path.parent_path().string(), path.stem().string(), metadata.at("salt")};
    golden.tolerance = tolerance;
    golden.name = item.at("name"), golden.op = item.at("op");
    golden.precision = item.at("precision");
    golden.params = item.at("params"), golden.inputs = item.at("inputs");
    golden.weights = item.at("weights"), golden.expect = item.at("expect");
    golden.tensors = file;
    cases.push_back(std::move(golden));
  }
}

}  // namespace

const torch::Device& GoldenDevice() {
  static const torch::Device device = [] {
    const char* name = std::getenv("REFLUX_GOLDEN_DEVICE");
    return OrThrow(PlanDevice(name == nullptr ? "cpu" : name));
  }();
  return device;
}

torch::Tensor GoldenCase::Stored(const std::string& tensor) const {
  return OrThrow(tensors->Load(tensor));
}

torch::Tensor GoldenCase::Input(const std::string& logical, torch::Dtype dtype) const {
  const json& source = inputs.at(logical);
  return AsType(source.is_string() ? Stored(source.get<std::string>()) : Filled(salt, source),
                dtype)
      .to(GoldenDevice());
}

torch::Tensor GoldenCase::Weight(const std::string& key, const std::vector<int64_t>& shape,
                                 torch::Dtype dtype, const std::string& group) const {
  const std::string prefix = group.empty() ? "" : group + "/";
  if (weights.contains(prefix + key)) {
    return AsType(Stored(weights.at(prefix + key).get<std::string>()), dtype).to(GoldenDevice());
  }
  const std::string fill = weights.at(prefix + "*").at("fill");
  return AsType(DeterministicFill(salt, fill + key, shape), dtype).to(GoldenDevice());
}

void GoldenCase::LoadWeights(torch::nn::Module& module, const std::string& group) const {
  torch::NoGradGuard no_grad;
  module.to(GoldenDevice());
  const auto load = [&](const auto& named) {
    for (const auto& item : named) {
      const torch::Tensor& target = item.value();
      target.copy_(Weight(item.key(), target.sizes().vec(), target.scalar_type(), group));
    }
  };
  load(module.named_parameters());
  load(module.named_buffers());
}

std::vector<GoldenCase> ReadCases(const std::string& folder) {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".safetensors") paths.push_back(entry.path());
  }
  if (paths.empty()) throw std::runtime_error(folder + " holds no .safetensors files");
  std::sort(paths.begin(), paths.end());
  std::vector<GoldenCase> cases;
  for (const auto& path : paths) ReadFile(path, cases);
  return cases;
}

}  // namespace reflux::golden
