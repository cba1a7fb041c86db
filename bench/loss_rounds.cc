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

using Form = std::function<torch::Tensor(const NaiveInputs&)>;

struct Measured {
  double seconds = 0, value = 0;
};

// Forward and backward to the student's map.
Measured Step(const Form& form, const NaiveInputs& inputs) {
  NaiveInputs given = inputs;
  given.student = inputs.student.detach().requires_grad_();
  const auto start = std::chrono::steady_clock::now();
  const torch::Tensor value = form(given);
  value.backward();
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  return {seconds.count(), value.item<double>()};
}

absl::Status SameValue(const std::string& name, double library, double other,
                       const std::string& whose) {
  if (std::abs(library - other) <= 1e-3 * std::abs(library) + 1e-9) return absl::OkStatus();
  return absl::InternalError(absl::StrCat(name, ": the library gives ", library, ", ", whose, " ",
                                          other, ": they are not the same loss"));
}

absl::Status WriteInputs(const std::vector<LossCase>& cases, const std::string& path) {
  NamedTensors tensors;
  for (const LossCase& one : cases) {
    tensors[one.name + ".student"] = one.inputs.student;
    tensors[one.name + ".teacher"] = one.inputs.teacher;
    tensors[one.name + ".labels"] = one.inputs.labels;
  }
  return WriteSafetensors(path, tensors, {{"classes", absl::StrCat(cases[0].inputs.num_classes)}});
}

// What the Python formulas take and give: name -> seconds, value.
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
    result[name] = {.seconds = row.at("seconds"), .value = row.at("value")};
  }
  return result;
}

absl::Status MeasureRound(const LossCase& one, LossSeries& series) {
  const Measured library = Step(one.library, one.inputs), naive = Step(one.naive, one.inputs);
  REFLUX_RETURN_IF_ERROR(SameValue(one.name, library.value, naive.value, "the naive form"));
  series.library.push_back(library.seconds);
  series.naive.push_back(naive.seconds);
  return absl::OkStatus();
}

// The first run of each form, untimed: warms up and counts memory. Returns the library's value.
double WarmUp(const LossCase& one, LossSeries& series) {
  double value = 0;
  series.library_bytes = PeakTensorBytes([&] { value = Step(one.library, one.inputs).value; });
  series.naive_bytes = PeakTensorBytes([&] { Step(one.naive, one.inputs); });
  return value;
}

}  // namespace

absl::StatusOr<std::vector<LossSeries>> MeasureLosses(const LossBenchOptions& options,
                                                      const std::string& scratch) {
  const std::vector<LossCase> cases = MakeLossCases(options);
  const std::string inputs = scratch + "/inputs.safetensors";
  if (!options.reference.empty()) REFLUX_RETURN_IF_ERROR(WriteInputs(cases, inputs));
  std::vector<LossSeries> all;
  std::map<std::string, double> values;
  for (const LossCase& one : cases) {
    all.push_back({.name = one.name});
    values[one.name] = WarmUp(one, all.back());
  }
  for (int round = 0; round < options.rounds; ++round) {
    for (size_t i = 0; i < cases.size(); ++i)
      REFLUX_RETURN_IF_ERROR(MeasureRound(cases[i], all[i]));
    if (options.reference.empty()) continue;
    REFLUX_ASSIGN_OR_RETURN(const auto python, RunPython(options, inputs));
    for (LossSeries& series : all) {
      const Measured& measured = python.at(series.name);
      REFLUX_RETURN_IF_ERROR(SameValue(series.name, values[series.name], measured.value, "Python"));
      series.python.push_back(measured.seconds);
    }
  }
  return all;
}

}  // namespace reflux
