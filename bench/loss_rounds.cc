#include "bench/loss_rounds.h"

#include <chrono>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "bench/tensor_memory.h"
#include "common/base/status_macros.h"
#include "distill/tensors/safetensors.h"

namespace reflux {
namespace {

using torch::Tensor;

LossForm NaiveFormOf(const LossCase& one) {
  return [name = one.name](const NaiveInputs& inputs) { return NaiveLoss(name, inputs); };
}

struct Measured {
  double seconds = 0, value = 0;
  double gradient = 0;  // norm, of all maps of the student
  int64_t bytes = 0;
};

// What one run may differentiate and write to.
NaiveInputs Fresh(const NaiveInputs& inputs) {
  const auto leaf = [](const Tensor& tensor) { return tensor.detach().requires_grad_(); };
  NaiveInputs fresh = inputs;
  fresh.student = leaf(inputs.student);
  for (auto& [name, map] : fresh.maps) map = leaf(map);
  for (auto& [name, weight] : fresh.weights) weight = leaf(weight);
  for (auto& [name, tensor] : fresh.given) tensor = tensor.clone();
  return fresh;
}

double GradientNorm(const NaiveInputs& inputs) {
  const auto squares_of = [](const Tensor& map) {
    return map.grad().to(torch::kFloat64).square().sum().item<double>();
  };
  double squares = squares_of(inputs.student);
  for (const auto& [name, map] : inputs.maps) squares += squares_of(map);
  return std::sqrt(squares);
}

// Forward and backward to the student's maps and the loss's parameters.
Measured Step(const LossForm& form, const NaiveInputs& inputs) {
  const auto start = std::chrono::steady_clock::now();
  const Tensor value = form(inputs);
  value.backward();
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  return {.seconds = seconds.count(), .value = value.item<double>()};
}

// The second of two runs: the first finds the memory that the form before it left, not its own.
Measured WarmStep(const LossCase& one, const LossForm& form) {
  Measured measured;
  for (int run = 0; run < 2; ++run) {
    one.reset();
    const NaiveInputs inputs = Fresh(one.inputs);
    measured = Step(form, inputs);
    measured.gradient = GradientNorm(inputs);
  }
  return measured;
}

// With the peak of its tensors in place of a meaningful time.
Measured CountBytes(const LossCase& one, const LossForm& form) {
  one.reset();
  const NaiveInputs inputs = Fresh(one.inputs);
  Measured measured;
  const int64_t bytes = PeakTensorBytes([&] { measured = Step(form, inputs); });
  measured.bytes = bytes;
  measured.gradient = GradientNorm(inputs);
  return measured;
}

absl::Status Same(const std::string& what, double library, double other, const std::string& whose) {
  if (std::abs(library - other) <= 1e-4 * std::abs(library) + 1e-12) return absl::OkStatus();
  return absl::InternalError(absl::StrCat(what, ": the library gives ", library, ", ", whose, " ",
                                          other, ": they are not the same loss"));
}

absl::Status SameLoss(const std::string& name, const Measured& library, const Measured& other,
                      const std::string& whose) {
  REFLUX_RETURN_IF_ERROR(Same(name, library.value, other.value, whose));
  return Same(name + "'s gradient", library.gradient, other.gradient, whose);
}

absl::Status WriteInputs(const std::vector<LossCase>& cases, const std::string& path) {
  NamedTensors tensors;
  for (const LossCase& one : cases) {
    const NaiveInputs& in = one.inputs;
    tensors[one.name + ".student"] = in.student;
    if (in.teacher.defined()) tensors[one.name + ".teacher"] = in.teacher;
    tensors[one.name + ".labels"] = in.labels;
    for (const auto& [name, map] : in.maps) tensors[one.name + ".maps." + name] = map;
    for (const auto& [name, weight] : in.weights) tensors[one.name + ".weights." + name] = weight;
    for (const auto& [name, tensor] : in.given) tensors[one.name + ".given." + name] = tensor;
  }
  return WriteSafetensors(path, tensors, {{"classes", absl::StrCat(cases[0].inputs.num_classes)}});
}

// What the Python formulas take and give, by name.
absl::StatusOr<std::map<std::string, Measured>> RunPython(const LossBenchOptions& options,
                                                          const std::string& inputs) {
  const std::string out = inputs + ".json";
  const std::string command = absl::StrCat(options.reference, " ", inputs, " --threads ",
                                           torch::get_num_threads(), " --out ", out);
  if (std::system(command.c_str()) != 0)
    return absl::FailedPreconditionError(absl::StrCat("this failed: ", command));
  std::ifstream file(out);
  const nlohmann::json json = nlohmann::json::parse(file);
  std::map<std::string, Measured> result;
  for (const auto& [name, row] : json.items()) {
    result[name] = {.seconds = row.at("seconds"),
                    .value = row.at("value"),
                    .gradient = row.at("gradient"),
                    .bytes = row.at("bytes")};
  }
  return result;
}

absl::Status MeasureRound(const LossCase& one, LossSeries& series) {
  const Measured library = WarmStep(one, one.library), naive = WarmStep(one, NaiveFormOf(one));
  REFLUX_RETURN_IF_ERROR(SameLoss(one.name, library, naive, "the naive form"));
  series.library.push_back(library.seconds);
  series.naive.push_back(naive.seconds);
  return absl::OkStatus();
}

// The first run of each form, untimed. Returns what the library gives.
Measured CountMemory(const LossCase& one, LossSeries& series) {
  const Measured library = CountBytes(one, one.library);
  series.library_bytes = library.bytes;
  series.naive_bytes = CountBytes(one, NaiveFormOf(one)).bytes;
  series.kept_bytes = one.kept_bytes;
  return library;
}

absl::Status MeasurePython(const LossBenchOptions& options, const std::string& inputs,
                           const std::map<std::string, Measured>& library,
                           std::vector<LossSeries>& all) {
  REFLUX_ASSIGN_OR_RETURN(const auto python, RunPython(options, inputs));
  for (LossSeries& series : all) {
    const Measured& measured = python.at(series.name);
    REFLUX_RETURN_IF_ERROR(SameLoss(series.name, library.at(series.name), measured, "Python"));
    series.python.push_back(measured.seconds);
    series.python_bytes = measured.bytes;
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<LossSeries>> MeasureLosses(const LossBenchOptions& options,
                                                      const std::string& scratch) {
  REFLUX_ASSIGN_OR_RETURN(const auto cases, MakeLossCases(options));
  const std::string inputs = scratch + "/inputs.safetensors";
  if (!options.reference.empty()) REFLUX_RETURN_IF_ERROR(WriteInputs(cases, inputs));
  std::vector<LossSeries> all;
  std::map<std::string, Measured> library;
  for (const LossCase& one : cases) {
    all.push_back({.name = one.name});
    library[one.name] = CountMemory(one, all.back());
  }
  for (int round = 0; round < options.rounds; ++round) {
    for (size_t i = 0; i < cases.size(); ++i)
      REFLUX_RETURN_IF_ERROR(MeasureRound(cases[i], all[i]));
    if (!options.reference.empty())
      REFLUX_RETURN_IF_ERROR(MeasurePython(options, inputs, library, all));
  }
  return all;
}

}  // namespace reflux
