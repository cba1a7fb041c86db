// Every seed and every file of corpus/ goes through its parser as it is, cut short, and with bytes
// changed, moved and repeated by a fixed sequence of random numbers. An input that once broke a
// parser is kept in corpus/<target>/.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <random>

#include "common/base/file.h"
#include "tests/fuzz/fuzz_targets.h"
#include "tests/support/mutated_bytes.h"

namespace reflux {
namespace {

namespace fs = std::filesystem;

constexpr int kMutants = 400, kCuts = 200;

std::vector<std::string> Inputs(const FuzzTarget& target) {
  std::vector<std::string> inputs = target.seeds();
  const fs::path folder =
      fs::path(std::getenv("REFLUX_SOURCE")) / "tests/fuzz/corpus" / target.name;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(folder, none)) {
    inputs.push_back(ReadFile(entry.path().string(), 1 << 20).value());
  }
  return inputs;
}

class ReplayTest : public testing::TestWithParam<FuzzTarget> {};

TEST_P(ReplayTest, SeedsCutsAndMutantsAreParsedOrRefused) {
  std::mt19937 random(20240923);
  const std::vector<std::string> inputs = Inputs(GetParam());
  ASSERT_FALSE(inputs.empty());
  for (const std::string& input : inputs) {
    GetParam().parse(input);
    const size_t step = std::max<size_t>(1, input.size() / kCuts);
    for (size_t cut = 0; cut < input.size(); cut += step) GetParam().parse(input.substr(0, cut));
    for (int i = 0; i < kMutants; ++i) GetParam().parse(Mutated(input, random));
  }
}

INSTANTIATE_TEST_SUITE_P(All, ReplayTest, testing::ValuesIn(FuzzTargets()),
                         [](const auto& info) { return info.param.name; });

}  // namespace

void PrintTo(const FuzzTarget& target, std::ostream* out) { *out << target.name; }

}  // namespace reflux
