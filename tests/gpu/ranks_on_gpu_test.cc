// Students that share a GPU. Each needs a process: LibTorch has one thread of backward for a GPU.
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/file.h"
#include "tests/e2e/proof_scene.h"
#include "tests/gpu/on_gpu.h"
#include "tests/support/shell.h"

namespace reflux {
namespace {

// In double, two processes that share the GPU have the loss terms of one.
class WorkersOnGpu : public OnGpu {
 protected:
  void SetUp() override {
    OnGpu::SetUp();
    if (IsSkipped()) return;
    root_ = testing::TempDir() + "reflux_workers_on_gpu";
    std::filesystem::remove_all(root_);
    std::filesystem::create_directories(root_);
    WriteProofImages(root_ + "/images", 4);
    WriteProofTeacher(root_ + "/teacher.safetensors", "deeplabv3_resnet18");
    std::string job =
        ProofYaml({.root = root_, .losses = "{kd: {}, icsd: {weight: 10}}", .precision = "fp64"});
    job.replace(job.find("threads: 1,"), 0, "device: cpu, ");  // the teacher's
    job.replace(job.find("loader_threads"), 0, absl::StrCat("device: ", GpuTestDevice(), ", "));
    ASSERT_TRUE(WriteFileAtomically(root_ + "/job.yaml", job).ok());
  }
  std::string Worker(const std::string& name, const std::string& flags) const {
    return absl::StrFormat(
        "%1$s/reflux-worker --job %2$s/job.yaml --dir %2$s/%3$s %4$s > %2$s/%3$s.log 2>&1",
        std::getenv("REFLUX_BIN"), root_, name, flags);
  }
  std::vector<double> Losses(const std::string& name) const {
    std::ifstream lines(root_ + "/" + name + "/metrics.jsonl");
    std::vector<double> losses;
    for (std::string line; std::getline(lines, line);) {
      const auto entry = nlohmann::json::parse(line);
      if (entry.at("kind") == "step") losses.push_back(entry.at("loss"));
    }
    return losses;
  }
  std::string Log(const std::string& name) const {
    return ReadFile(root_ + "/" + name + ".log", 1 << 20).value_or("no log");
  }
  std::string root_;
};

TEST_F(WorkersOnGpu, TwoThatShareItHaveTheLossesOfOne) {
  ASSERT_EQ(RunShell(Worker("alone", "")).exit_code, 0) << Log("alone");
  const std::string find_store = absl::StrFormat(
      "for i in $(seq 300); do store=$(sed -n 's/.*store at //p' %s/first.log); "
      "[ -n \"$store\" ] && break; sleep 0.1; done; ",
      root_);
  const ShellOutput both =
      RunShell(absl::StrCat("(", Worker("first", "--rank 0 --world-size 2"), ") & first=$!; ",
                            find_store, Worker("second", "--rank 1 --world-size 2 --store $store"),
                            "; second=$?; wait $first && exit $second"));
  ASSERT_EQ(both.exit_code, 0) << Log("first") << Log("second");
  const std::vector<double> alone = Losses("alone"), shared = Losses("first");
  ASSERT_FALSE(alone.empty());
  ASSERT_EQ(alone.size(), shared.size());
  for (size_t i = 0; i < alone.size(); ++i) EXPECT_NEAR(shared[i], alone[i], 1e-8) << "step " << i;
  std::filesystem::remove_all(root_);
}

}  // namespace
}  // namespace reflux
