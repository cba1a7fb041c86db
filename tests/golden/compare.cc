#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>
#include <stdexcept>

#include "tests/golden/ops.h"

namespace reflux::golden {
namespace {

constexpr double kNotCompared = std::numeric_limits<double>::infinity();

torch::Tensor Lookup(const std::map<std::string, torch::Tensor>& values, const std::string& key,
                     const std::string& what) {
  const auto found = values.find(key);
  if (found == values.end()) throw std::runtime_error("the op gave no " + what + " '" + key + "'");
  return found->second;
}

// d(loss)/d(leaf) for each leaf; a leaf that the loss does not depend on has gradient zero.
std::vector<torch::Tensor> Gradients(const GoldenOutcome& outcome, const std::string& loss,
                                     const std::vector<std::string>& names) {
  std::vector<torch::Tensor> leaves;
  for (const auto& name : names) leaves.push_back(Lookup(outcome.leaves, name, "leaf"));
  const torch::Tensor value = Lookup(outcome.outputs, loss, "loss").sum();
  auto gradients = torch::autograd::grad({value}, leaves, {}, /*retain_graph=*/true,
                                         /*create_graph=*/false, /*allow_unused=*/true);
  for (size_t i = 0; i < leaves.size(); ++i) {
    if (!gradients[i].defined()) gradients[i] = torch::zeros_like(leaves[i]);
  }
  return gradients;
}

torch::Tensor Gradient(const GoldenOutcome& outcome, const json& expected) {
  const json& of = expected.at("of");
  const auto names = of.is_array() ? of.get<std::vector<std::string>>()
                                   : std::vector<std::string>{of.get<std::string>()};
  const auto gradients = Gradients(outcome, expected.at("loss"), names);
  if (!of.is_array()) return gradients[0];
  if (expected.at("reduce") != "l2_each") throw std::runtime_error("unknown reduce of gradients");
  std::vector<torch::Tensor> norms;
  for (const auto& gradient : gradients) norms.push_back(gradient.norm());
  return torch::stack(norms);
}

torch::Tensor Reduced(const torch::Tensor& value, const json& expected) {
  if (!expected.contains("reduce") || expected["reduce"] == "l2_each") return value;
  if (expected["reduce"] == "mean_hw") return value.mean({2, 3});
  if (expected["reduce"] == "mean_c") return value.mean(1);
  throw std::runtime_error("unknown reduce " + expected["reduce"].dump());
}

torch::Tensor Strided(torch::Tensor value, const json& expected) {
  if (!expected.contains("stride")) return value;
  const auto stride = expected["stride"].get<std::vector<int64_t>>();
  for (size_t d = 0; d < stride.size(); ++d) value = value.slice(d, 0, {}, stride[d]);
  return value;
}

torch::Tensor Computed(const GoldenOutcome& outcome, const std::string& logical,
                       const json& expected) {
  torch::Tensor value;
  if (expected.contains("state")) {
    value = Lookup(outcome.state, expected["state"], "state");
  } else if (outcome.outputs.count(expected.value("output", logical)) > 0) {
    value = outcome.outputs.at(expected.value("output", logical));
  } else if (expected.contains("of") && expected.contains("loss") && !expected.contains("step")) {
    value = Gradient(outcome, expected);
  } else {
    throw std::runtime_error("the op gave no '" + expected.value("output", logical) + "'");
  }
  return Strided(Reduced(value.detach(), expected), expected).to(torch::kCPU, torch::kFloat64);
}

torch::Tensor Reference(const GoldenCase& golden, const json& expected) {
  if (expected.contains("value")) {
    return torch::tensor(expected["value"].get<double>(), torch::kFloat64);
  }
  torch::Tensor reference = golden.Stored(expected.at("tensor")).to(torch::kFloat64);
  return expected.contains("row") ? reference[expected["row"].get<int64_t>()] : reference;
}

double Factor(const json& value) { return value.is_null() ? kNotCompared : value.get<double>(); }

// One factor for the whole tensor, or (first flag of the pair) one for each entry.
std::vector<double> Factors(const GoldenCase& golden, const json& expected, bool in_double) {
  const std::string kind = expected.at("kind");
  if (golden.precision == "float64" && in_double) {
    // Counts and labels are exact in any precision, so `double` does not list them.
    const json& factors = golden.tolerance.at("double");
    return {Factor(factors.contains(kind) ? factors[kind] : golden.tolerance.at(kind))};
  }
  if (!expected.contains("tolerance")) return {Factor(golden.tolerance.at(kind))};
  if (!expected["tolerance"].is_array()) return {Factor(expected["tolerance"])};
  std::vector<double> factors;
  for (const json& factor : expected["tolerance"]) factors.push_back(Factor(factor));
  return factors;
}

void CompareValues(const torch::Tensor& value, const torch::Tensor& reference,
                   const std::vector<double>& factors, double floor, bool l2) {
  ASSERT_EQ(value.sizes(), reference.sizes());
  if (reference.numel() == 0) return;
  const torch::Tensor error = (value - reference).reshape(-1), size = reference.reshape(-1);
  if (factors.size() > 1) {  // one factor for each entry
    ASSERT_EQ(static_cast<int64_t>(factors.size()), reference.numel());
    for (int64_t i = 0; i < reference.numel(); ++i) {
      if (factors[i] == kNotCompared) continue;
      EXPECT_LE(std::abs(error[i].item<double>()),
                factors[i] * std::abs(size[i].item<double>()) + floor)
          << "entry " << i << ": " << value.reshape(-1)[i].item<double>();
    }
    return;
  }
  if (factors[0] == kNotCompared) return;
  const double distance = l2 ? error.norm().item<double>() : error.abs().max().item<double>();
  const double scale = l2 ? size.norm().item<double>() : size.abs().max().item<double>();
  EXPECT_LE(distance, factors[0] * scale + floor)
      << "relative to the reference: " << distance / scale;
}

std::vector<std::string> KeyLines(const std::string& path) {
  std::ifstream in(path);
  if (!in) throw std::runtime_error("cannot read " + path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) {
    if (!line.empty() && line[0] != '#') lines.push_back(line);
  }
  return lines;
}

void CompareOne(const GoldenCase& golden, const GoldenOutcome& outcome, const std::string& logical,
                const json& expected) {
  if (expected.at("kind") == "keys") {
    const auto found = outcome.keys.find(logical);
    if (found == outcome.keys.end()) throw std::runtime_error("the op gave no keys " + logical);
    auto ours = found->second;
    auto theirs = KeyLines(golden.folder + "/" + expected.at("file").get<std::string>());
    std::sort(ours.begin(), ours.end());
    std::sort(theirs.begin(), theirs.end());
    EXPECT_EQ(ours, theirs);
    return;
  }
  CompareValues(Computed(outcome, logical, expected), Reference(golden, expected),
                Factors(golden, expected, outcome.computed_in_double),
                golden.tolerance.at("absolute").get<double>(),
                expected.value("measure", "") == "l2");
}

}  // namespace

void Compare(const GoldenCase& golden, const GoldenOutcome& outcome) {
  for (const auto& [logical, expected] : golden.expect.items()) {
    SCOPED_TRACE(golden.file + ": " + golden.name + ": " + logical);
    try {
      CompareOne(golden, outcome, logical, expected);
    } catch (const std::exception& error) {
      ADD_FAILURE() << error.what();
    }
  }
}

}  // namespace reflux::golden
