// Checks our computations against golden vectors made by the methods' reference code.
//
// Reads every .safetensors file of $REFLUX_GOLDEN_DIR (default: ../shared/golden beside the source
// tree if it is there, else tests/golden/data) and registers one test a case. Cases without code
// fail a test of their own, by name. REFLUX_GOLDEN_DEVICE=cuda computes on a GPU.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/golden/ops.h"

namespace reflux::golden {
namespace {

int passed = 0;  // cases, for the last line

class GoldenTest : public testing::Test {
 public:
  GoldenTest(GoldenCase golden, GoldenOp op) : golden_(std::move(golden)), op_(std::move(op)) {}
  void TestBody() override {
    EXPECT_FALSE(golden_.expect.empty()) << "expects nothing";
    Compare(golden_, op_.compute(golden_));
    if (!HasFailure()) ++passed;
  }

 private:
  GoldenCase golden_;
  GoldenOp op_;
};

// Fails for every case that no code computes.
class CoverageTest : public testing::Test {
 public:
  explicit CoverageTest(std::vector<std::string> missing) : missing_(std::move(missing)) {}
  void TestBody() override {
    for (const std::string& what : missing_) ADD_FAILURE() << "not covered: " << what;
  }

 private:
  const std::vector<std::string> missing_;
};

std::string Folder() {
  if (const char* folder = std::getenv("REFLUX_GOLDEN_DIR"); folder && *folder) return folder;
  const std::string shared = REFLUX_SOURCE_DIR "/../shared/golden";
  return std::filesystem::is_directory(shared) ? shared : REFLUX_SOURCE_DIR "/tests/golden/data";
}

GoldenOps AllOps() {
  GoldenOps ops;
  AddAfdcdOps(ops);
  AddFeatureOps(ops);
  AddFillOps(ops);
  AddFrskdModelOps(ops);
  AddFrskdOps(ops);
  AddLossOps(ops);
  AddMetricOps(ops);
  AddModelOps(ops);
  return ops;
}

// Why a case is not covered: its op has no code, or not for this case. Empty if it is.
std::string Missing(const GoldenCase& golden, const GoldenOps& ops) {
  const auto op = ops.find(golden.op);
  const std::string where = absl::StrCat(golden.file, ": ", golden.name, " (op ", golden.op, ")");
  if (op == ops.end()) return where;
  const std::string why = op->second.not_covered ? op->second.not_covered(golden) : "";
  return why.empty() ? "" : absl::StrCat(where, ": ", why);
}

template <typename Make>
void RegisterCase(const std::string& suite, const std::string& name, Make make) {
  testing::RegisterTest(suite.c_str(), name.c_str(), nullptr, nullptr, __FILE__, __LINE__, make);
}

// Registers the cases that have code, and a test of whether all have; the number of those without.
size_t Register(const std::vector<GoldenCase>& cases, const GoldenOps& ops) {
  std::vector<std::string> missing;
  for (const GoldenCase& golden : cases) {
    if (std::string what = Missing(golden, ops); !what.empty()) {
      missing.push_back(std::move(what));
      continue;
    }
    RegisterCase(golden.file, golden.name, [golden, op = ops.at(golden.op)]() -> testing::Test* {
      return new GoldenTest(golden, op);
    });
  }
  RegisterCase("Coverage", "EveryCaseHasCode",
               [missing]() -> testing::Test* { return new CoverageTest(missing); });
  return missing.size();
}

int Run() {
  const std::string folder = Folder();
  std::printf("golden vectors of %s\n", folder.c_str());
  const size_t missing = Register(ReadCases(folder), AllOps());
  const int failed = RUN_ALL_TESTS();
  std::printf("golden: %d cases passed, %zu not covered\n", passed, missing);
  return failed;
}

}  // namespace
}  // namespace reflux::golden

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  try {
    return reflux::golden::Run();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "golden vectors cannot be read: %s\n", error.what());
    return 1;
  }
}
