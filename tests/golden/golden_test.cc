// Checks our computations against golden vectors made by the methods' reference code.
//
// Reads every .safetensors file of $REFLUX_GOLDEN_DIR (default: ../shared/golden beside the source
// tree if it is there, else tests/golden/data) and registers one test a case. A case without code
// is listed in the last line, never passed. REFLUX_GOLDEN_DEVICE=cuda computes on a GPU.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <set>

#include "absl/strings/str_join.h"
#include "tests/golden/ops.h"

namespace reflux::golden {
namespace {

class GoldenTest : public testing::Test {
 public:
  GoldenTest(GoldenCase golden, GoldenOp op) : golden_(std::move(golden)), op_(std::move(op)) {}
  void TestBody() override { Compare(golden_, op_.compute(golden_)); }

 private:
  GoldenCase golden_;
  GoldenOp op_;
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

struct NotCovered {
  int cases = 0;
  std::set<std::string> ops;
};

// Registers the cases that have code and returns the rest.
NotCovered Register(const std::vector<GoldenCase>& cases, const GoldenOps& ops) {
  NotCovered missing;
  for (const GoldenCase& golden : cases) {
    const auto op = ops.find(golden.op);
    const std::string reason =
        op != ops.end() && op->second.not_covered ? op->second.not_covered(golden) : std::string();
    if (op == ops.end() || !reason.empty()) {
      ++missing.cases;
      missing.ops.insert(reason.empty() ? golden.op : golden.op + " [" + reason + "]");
      std::printf("not covered: %s: %s (op %s) %s\n", golden.file.c_str(), golden.name.c_str(),
                  golden.op.c_str(), reason.c_str());
      continue;
    }
    testing::RegisterTest(
        golden.file.c_str(), golden.name.c_str(), nullptr, nullptr, __FILE__, __LINE__,
        [golden, op = op->second]() -> testing::Test* { return new GoldenTest(golden, op); });
  }
  return missing;
}

int Run() {
  const std::string folder = Folder();
  std::printf("golden vectors of %s\n", folder.c_str());
  const NotCovered missing = Register(ReadCases(folder), AllOps());
  const int failed = RUN_ALL_TESTS();
  std::printf("golden: %d cases passed, %d not covered (ops: %s)\n",
              testing::UnitTest::GetInstance()->successful_test_count(), missing.cases,
              absl::StrJoin(missing.ops, ", ").c_str());
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
